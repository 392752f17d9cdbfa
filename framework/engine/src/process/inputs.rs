//! The inputs of a process manager besides events.

use serde::de::DeserializeOwned;

use crate::command::Command;
use factum_core::timestamp::Timestamp;

/// A command that the domain rejected.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rejection {
    /// The name of the command.
    pub command: String,
    /// The command, as JSON.
    pub body: serde_json::Value,
    /// The error, with its causes.
    pub error: String,
    /// The time at which the cause of the command happened.
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

    /// Returns the command, if it is a `C`.
    #[must_use]
    pub fn of<C: Command + DeserializeOwned>(&self) -> Option<C> {
        let named = self.command == C::NAME;
        named.then(|| C::deserialize(&self.body).ok()).flatten()
    }
}

/// A deadline that has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadline {
    /// The name.
    pub name: String,
    /// The due time. The current time may be later.
    pub due: Timestamp,
}

impl Deadline {
    /// Creates a deadline that has passed.
    #[must_use]
    pub fn new(name: String, due: Timestamp) -> Self {
        Self { name, due }
    }
}
