//! [`ExecuteError`]: why a command did not happen.

use super::source::LoadError;
use crate::boundary::InvalidTarget;
use crate::error::{DecodeError, EncodeError, StoreError};
use crate::events::InvalidDeadline;
use factum_core::append::{AppendError, Conflict, ExpectedVersion, InvalidAppend, Violation};
use factum_core::stream_id::StreamId;

/// A command did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError<E: std::error::Error + 'static> {
    /// The domain said no.
    #[error(transparent)]
    Rejected(E),
    /// Other writers were faster, as often as the retry policy allows; or the version that the caller
    /// expects is not the stream's.
    #[error("{conflict} (after {attempts} attempts)")]
    Conflict {
        /// Which expectations were violated last.
        #[source]
        conflict: Conflict,
        /// How often the command was decided.
        attempts: u32,
    },
    /// The command names one stream twice, e.g. a transfer from an account to itself.
    #[error("the command looks at {stream} twice")]
    DuplicateStream {
        /// Which stream.
        stream: StreamId,
    },
    /// An id or a tag in the command breaks the rules of its text.
    #[error(transparent)]
    InvalidTarget(#[from] InvalidTarget),
    /// The idempotency key stands for another command.
    #[error("idempotency key {key:?} was already used for another command")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The decision is more than a store takes.
    #[error(transparent)]
    Invalid(InvalidAppend),
    /// The decision sets a deadline that cannot be kept.
    #[error(transparent)]
    Deadline(#[from] InvalidDeadline),
    /// An inline projection cannot take an event of the decision.
    #[error("the inline projection {name:?} rejects what the command would do")]
    Projection {
        /// The name of the projection.
        name: String,
        /// Why.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An event, or the command under an idempotency key, does not serialize.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A stored event cannot be read by this code.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The store failed, as often as the retry policy allows where trying again was safe. After
    /// [`StoreError::Interrupted`] it is not known whether the command happened; with an idempotency key it
    /// is safe to ask again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<E: std::error::Error + 'static> From<LoadError> for ExecuteError<E> {
    fn from(error: LoadError) -> Self {
        match error {
            // To read changes nothing: what was lost on the way is not missed.
            LoadError::Store(StoreError::Interrupted(cause)) => {
                Self::Store(StoreError::Unavailable(cause))
            }
            LoadError::Store(error) => Self::Store(error),
            LoadError::Decode(error) => Self::Decode(error),
            LoadError::InvalidStreamId(error) => Self::InvalidTarget(error.into()),
            LoadError::NoSuchVersion {
                stream,
                asked,
                actual,
            } => {
                let expected = ExpectedVersion::Exact(asked);
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

impl<E: std::error::Error + 'static> From<AppendError> for ExecuteError<E> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict(conflict) => Self::Conflict {
                conflict,
                attempts: 1,
            },
            AppendError::KeyReused { key } => Self::KeyReused { key },
            AppendError::Projection { name, error } => Self::Projection { name, error },
            AppendError::Invalid(error) => Self::Invalid(error),
            AppendError::Store(error) => Self::Store(error),
            other => Self::Store(StoreError::Failed(other.into())),
        }
    }
}
