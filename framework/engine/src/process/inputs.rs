//! What comes back to a process manager.

use serde::de::DeserializeOwned;

use crate::command::Command;
use factum_core::timestamp::Timestamp;

/// The domain rejected a command of this instance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rejection {
    /// The name of the command.
    pub command: String,
    /// The command, as JSON.
    pub body: serde_json::Value,
    /// Why, in the words of its error and of what caused that.
    pub error: String,
    /// When what led to the command happened.
    pub at: Timestamp,
}

impl Rejection {
    /// Creates the rejection of a command, which was caused at the time `at`.
    #[must_use]
    pub fn new(command: String, body: serde_json::Value, error: String, at: Timestamp) -> Self {
        Self {
            command,
            body,
            error,
            at,
        }
    }

    /// The command, if it is a `C`.
    #[must_use]
    pub fn of<C: Command + DeserializeOwned>(&self) -> Option<C> {
        let named = self.command == C::NAME;
        named.then(|| C::deserialize(&self.body).ok()).flatten()
    }
}

/// A deadline has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadline {
    /// Its name.
    pub name: String,
    /// When it was due. It may be later by now.
    pub due: Timestamp,
}

impl Deadline {
    /// Creates a deadline that has passed.
    #[must_use]
    pub fn new(name: String, due: Timestamp) -> Self {
        Self { name, due }
    }
}
