//! [`Reactions`]: the reactions of a process manager to an event.

use std::marker::PhantomData;

use super::action::ProcessAction;
use super::encode_command_error::EncodeCommandError;
use super::process_manager::{ProcessManager, SentBy};
use crate::command::Decide;
use crate::domain::codec;
use crate::domain::deadline::When;
use factum_core::timestamp::Timestamp;
use serde::de::DeserializeOwned;

/// The reactions of a process manager, in order.
///
/// All of them take effect together, after the state is stored.
#[derive(Debug)]
pub struct Reactions<P> {
    instance: String,
    at: Timestamp,
    actions: Vec<ProcessAction>,
    error: Option<EncodeCommandError>,
    of: PhantomData<fn() -> P>,
}

impl<P: ProcessManager> Reactions<P> {
    /// Creates the reactions of an instance to something that happened at the time `at`.
    #[doc(hidden)]
    pub fn new(instance: &str, at: Timestamp) -> Self {
        Self {
            instance: instance.to_owned(),
            at,
            actions: Vec::new(),
            error: None,
            of: PhantomData,
        }
    }

    /// Returns the actions.
    ///
    /// # Errors
    /// Returns the reason if a command cannot be encoded.
    #[doc(hidden)]
    pub fn finish(self) -> Result<Vec<ProcessAction>, EncodeCommandError> {
        match self.error {
            None => Ok(self.actions),
            Some(error) => Err(error),
        }
    }

    /// Returns the id of the instance, as text.
    ///
    /// `then.instance().parse()` returns the id if its type implements [`FromStr`](std::str::FromStr), as numbers,
    /// UUIDs and types that derive `Id` do.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Returns the time of the cause: when the event was stored, or when the deadline was due.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Sends `command`. The commands of one instance are executed in this order.
    #[expect(clippy::needless_pass_by_value, reason = "a sent command is consumed")]
    pub fn send<C: Decide + DeserializeOwned + SentBy<P>>(&mut self, command: C) -> &mut Self {
        match codec::stored_value(&command) {
            Ok(body) => self.actions.push(ProcessAction::Send {
                command: C::NAME,
                version: C::VERSION,
                body,
            }),
            Err(source) => {
                let error = EncodeCommandError::new(C::NAME, source);
                self.error.get_or_insert(error);
            }
        }
        self
    }

    /// Sets the deadline `name`, or moves it if it is already set.
    ///
    /// `when` is a [`Timestamp`], or a [`Duration`](std::time::Duration) after [`at`](Self::at).
    pub fn deadline(&mut self, name: impl Into<String>, when: impl Into<When>) -> &mut Self {
        let due = when.into().due(self.at);
        let name = name.into();
        self.actions.push(ProcessAction::SetDeadline { name, due });
        self
    }

    /// Cancels the deadline `name`, if it is set.
    pub fn cancel(&mut self, name: impl Into<String>) -> &mut Self {
        self.actions
            .push(ProcessAction::CancelDeadline { name: name.into() });
        self
    }

    /// Completes the instance: its state and its deadlines are deleted.
    ///
    /// Commands that the instance has sent are still executed, but their rejections are not handled.
    pub fn complete(&mut self) -> &mut Self {
        self.actions.push(ProcessAction::Complete);
        self
    }
}
