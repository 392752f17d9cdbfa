//! The deadlines that a decision sets and cancels.

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::time::Duration;

use factum_core::timestamp::Timestamp;
use serde_json::Value;

/// The maximum length of a deadline's name, in bytes.
const MAX_NAME: usize = 128;

/// The maximum number of characters of an invalid name that an error quotes.
const MAX_QUOTED: usize = 80;

/// The time at which a deadline is due: a [`Timestamp`], or a [`Duration`] after its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this time.
    At(Timestamp),
    /// This long after the cause.
    After(Duration),
}

impl When {
    /// Returns the time at which the deadline is due, if its cause happened at `cause`.
    #[must_use]
    pub fn due(self, cause: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::After(duration) => cause + duration,
        }
    }
}

impl From<Timestamp> for When {
    fn from(time: Timestamp) -> Self {
        Self::At(time)
    }
}

impl From<Duration> for When {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}

/// The deadlines of one stream that a decision sets or cancels.
#[doc(hidden)]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadlineChanges {
    changes: BTreeMap<String, DeadlineChange>,
    /// The first change that is not valid. Building a decision is infallible, so the engine reports it.
    invalid: Option<InvalidDeadline>,
}

/// The change of one deadline.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadlineChange {
    /// Sets or moves the deadline.
    Set(ScheduledCommand),
    /// Cancels the deadline.
    Cancel,
}

/// The command that a deadline executes, and its due time.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledCommand {
    /// The due time.
    pub when: When,
    /// The name of the command.
    pub command: &'static str,
    /// The Rust type of the command.
    pub command_type: CommandType,
    /// The schema version of the command.
    pub version: u32,
    /// The command as JSON.
    pub body: Value,
}

/// The Rust type of a command, which must be the only one with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandType {
    id: TypeId,
    /// The path of the type, for errors.
    pub name: &'static str,
}

impl CommandType {
    /// Returns the Rust type `C`.
    #[must_use]
    pub fn of<C: 'static>() -> Self {
        Self {
            id: TypeId::of::<C>(),
            name: type_name::<C>(),
        }
    }
}

/// A decision sets a deadline that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid deadline {name:?}: {reason}")]
pub struct InvalidDeadline {
    /// The name of the deadline, at most its first 80 characters.
    pub name: String,
    /// The rule that the deadline violates.
    pub reason: String,
}

impl DeadlineChanges {
    /// Records the change of the deadline `name`, or the reason why it is not valid.
    pub fn insert(&mut self, name: String, change: Result<DeadlineChange, String>) {
        let is_valid = (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control);
        let change = change.and_then(|change| match is_valid {
            true => Ok(change),
            false => Err(format!(
                "a name has 1 to {MAX_NAME} bytes without control characters"
            )),
        });
        match change {
            Ok(change) => {
                self.changes.insert(name, change);
            }
            Err(reason) => {
                let name = name.chars().take(MAX_QUOTED).collect();
                self.invalid.get_or_insert(InvalidDeadline { name, reason });
            }
        }
    }

    /// Returns the changes by the name of the deadline.
    ///
    /// # Errors
    /// Returns the first change that is not valid.
    pub fn validated(&self) -> Result<&BTreeMap<String, DeadlineChange>, InvalidDeadline> {
        match &self.invalid {
            None => Ok(&self.changes),
            Some(invalid) => Err(invalid.clone()),
        }
    }

    /// Returns the valid changes, by the name of the deadline.
    pub fn as_map(&self) -> &BTreeMap<String, DeadlineChange> {
        &self.changes
    }
}
