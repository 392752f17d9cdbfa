//! [`ProcessAction`]: one reaction of a process manager.

use factum_core::timestamp::Timestamp;
use serde_json::Value;

/// One reaction, without its types.
#[derive(Debug, Clone, PartialEq)]
pub enum ProcessAction {
    /// Sends a command.
    Send {
        /// The name.
        command: &'static str,
        /// The schema version.
        version: u32,
        /// The command, as JSON.
        body: Value,
    },
    /// Sets a deadline.
    SetDeadline {
        /// The name.
        name: String,
        /// The due time.
        due: Timestamp,
    },
    /// Cancels a deadline.
    CancelDeadline {
        /// The name.
        name: String,
    },
    /// Completes the instance.
    Complete,
}
