//! [`ExecuteError`]: the reasons why a command is not executed.

use factum_core::append::{AppendError, Conflict, ExpectedVersion, InvalidAppend, Violation};
use factum_core::stream_id::StreamId;

use crate::command::boundary::{FindError, InvalidTarget};
use crate::command::tag_check::UnknownTag;
use crate::domain::deadline::InvalidDeadline;
use crate::domain::error::{BoxError, DecodeError, EncodeError, StoreError};
use crate::state::load_error::LoadError;

/// A command was not executed. Nothing was stored, except as stated at [`Self::Store`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError<E: std::error::Error + 'static> {
    /// The domain rejected the command.
    #[error(transparent)]
    Rejected(E),
    /// The expected version does not match, or all attempts of the retry policy ended with a conflict.
    #[error("{conflict} ({})", attempts_text(*attempts))]
    Conflict {
        /// The violated expectations of the last attempt.
        conflict: Conflict,
        /// The number of times that the command was decided.
        ///
        /// It is 0 if the first stream was not at the expected version before that.
        attempts: u32,
    },
    /// The command names or finds a stream twice, for example a transfer from an account to itself.
    #[error("the command uses {stream} twice; each stream of a command must be distinct")]
    DuplicateStream {
        /// The stream.
        stream: StreamId,
    },
    /// An id or a tag of the command is not valid.
    #[error(transparent)]
    InvalidTarget(#[from] InvalidTarget),
    /// The hand-written command selects events by a tag that they never have.
    #[error(transparent)]
    UnknownTag(#[from] UnknownTag),
    /// The idempotency key was used for a command with other content.
    #[error("idempotency key {key:?} was already used for another command")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The idempotency key begins with the prefix of the keys that the framework makes.
    #[error("reserved idempotency key: {key:?}; a key must not begin with {prefix:?}")]
    ReservedKey {
        /// The key.
        key: String,
        /// The reserved prefix.
        prefix: &'static str,
    },
    /// The append of the decision exceeds the limits of a store.
    #[error(transparent)]
    InvalidAppend(InvalidAppend),
    /// The decision sets a deadline that is not valid.
    #[error(transparent)]
    Deadline(#[from] InvalidDeadline),
    /// An inline projection rejected an event of the decision.
    #[error("the inline projection {name:?} rejected the decision")]
    Projection {
        /// The name of the projection.
        name: String,
        /// The reason.
        #[source]
        error: BoxError,
    },
    /// An event, or a command with an idempotency key, could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A stored event could not be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The store failed, and no retry was allowed or succeeded.
    ///
    /// After [`StoreError::Interrupted`], it is not known whether the command was executed. With an idempotency key, it
    /// is safe to execute the command again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn attempts_text(attempts: u32) -> String {
    match attempts {
        0 => "before the command was decided".to_owned(),
        1 => "after 1 attempt".to_owned(),
        _ => format!("after {attempts} attempts"),
    }
}

impl<E: std::error::Error + 'static> From<LoadError> for ExecuteError<E> {
    fn from(error: LoadError) -> Self {
        match error {
            // A read changes nothing, so a lost connection has the same effect as no connection.
            LoadError::Store(StoreError::Interrupted(cause)) => {
                Self::Store(StoreError::Unavailable(cause))
            }
            LoadError::Store(error) => Self::Store(error),
            LoadError::Decode(error) => Self::Decode(error),
            LoadError::InvalidStreamId(error) => Self::InvalidTarget(error.into()),
            LoadError::NoSuchVersion {
                stream,
                requested,
                actual,
            } => {
                let expected = ExpectedVersion::Exact(requested);
                let violations = vec![Violation::Version {
                    stream,
                    expected,
                    actual,
                }];
                Self::Conflict {
                    conflict: Conflict { violations },
                    attempts: 0,
                }
            }
        }
    }
}

impl<E: std::error::Error + 'static> From<FindError> for ExecuteError<E> {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Target(error) => Self::InvalidTarget(error),
            FindError::DuplicateStream(stream) => Self::DuplicateStream { stream },
        }
    }
}

impl<E: std::error::Error + 'static> From<AppendError> for ExecuteError<E> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict(conflict) => Self::Conflict {
                conflict,
                attempts: 1,
            },
            AppendError::KeyReused { key } => Self::KeyReused { key },
            AppendError::Projection { name, error } => Self::Projection { name, error },
            AppendError::Invalid(error) => Self::InvalidAppend(error),
            AppendError::Store(error) => Self::Store(error),
            other => Self::Store(StoreError::Failed(other.into())),
        }
    }
}
