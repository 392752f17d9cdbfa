//! [`ReactionError`]: the reasons why a process instance cannot react to an event, a deadline or a rejection.

use factum_engine::error::BoxError;
use factum_engine::process::EncodeCommandError;

use crate::consumer::ConsumerError;

/// A process instance cannot react to an event, a deadline or a rejection.
#[derive(Debug, thiserror::Error)]
pub enum ReactionError {
    /// Newer code has stored the state.
    #[error(transparent)]
    Newer(ConsumerError),
    /// The state cannot be decoded.
    #[error(
        "cannot decode the state of the process manager {name} {id:?}, which has version {version}; keep its fields readable"
    )]
    DecodeState {
        /// The name of the process manager.
        name: &'static str,
        /// The id of the instance.
        id: String,
        /// The stored version.
        version: u32,
        /// The reason.
        #[source]
        source: BoxError,
    },
    /// The state cannot be encoded.
    #[error("cannot encode the state of the process manager {name}; all its fields must serialize")]
    EncodeState {
        /// The name of the process manager.
        name: &'static str,
        /// The reason.
        #[source]
        source: serde_json::Error,
    },
    /// A command cannot be encoded.
    #[error(transparent)]
    EncodeCommand(#[from] EncodeCommandError),
    /// The code of the application panicked, with this message.
    #[error("{0}")]
    Panicked(String),
    /// No schedule has this name.
    #[error("no schedule {0:?}; add it to `Runtime::builder`")]
    UnknownSchedule(String),
}

impl From<ReactionError> for ConsumerError {
    fn from(error: ReactionError) -> Self {
        match error {
            ReactionError::Newer(error) => error,
            error => Self::Handler(error.into()),
        }
    }
}
