//! [`EncodeCommandError`]: a command that cannot be encoded.

/// A command cannot be encoded as JSON.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode command {command}")]
pub struct EncodeCommandError {
    /// The name of the command.
    pub command: &'static str,
    /// The reason.
    #[source]
    pub source: serde_json::Error,
}

impl EncodeCommandError {
    /// Creates the error of the command with this name.
    #[must_use]
    pub fn new(command: &'static str, source: serde_json::Error) -> Self {
        Self { command, source }
    }
}
