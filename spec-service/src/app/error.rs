//! [`AppError`]: the error of a request, which each API converts to its own format.

use std::any::Any;

use factum::Position;
use factum::engine::{ExecuteError, LoadError};
use factum::runtime::{ControlError, WaitError};
use factum::store::{AppendError, InvalidAppend, InvalidField, StoreError, Violation};
use serde_json::Value;
use thiserror::Error;

use super::cursor::InvalidCursor;
use super::limits::{MAX_KEY_BYTES, MAX_LIMIT};
use super::refusal::Refusal;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The error of a request.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppError {
    /// A capability refused the request. [`AppError::refusal`] returns the reason.
    #[error("{0}")]
    Refused(Box<dyn Refusal>),
    /// The changed thing has another revision than expected.
    #[error("revision mismatch: expected {expected}, the latest is {actual}; read it again")]
    RevisionMismatch {
        /// The revision that the caller expects.
        expected: u64,
        /// The latest revision.
        actual: u64,
    },
    /// The idempotency key was used for another request.
    #[error("idempotency key already used for another request: {key:?}; use a new key")]
    KeyReused {
        /// The idempotency key.
        key: String,
    },
    /// The idempotency key is empty or too long.
    #[error(
        "invalid idempotency key: {bytes} bytes; the length must be 1 to {MAX_KEY_BYTES} bytes"
    )]
    InvalidKey {
        /// The length of the key in bytes.
        bytes: usize,
    },
    /// A text of the request cannot be stored, for example a reason with the character U+0000.
    #[error(transparent)]
    Text(InvalidField),
    /// The page size is not between 1 and [`MAX_LIMIT`].
    #[error("invalid page size: {limit}; it must be 1 to {MAX_LIMIT}")]
    InvalidLimit {
        /// The requested page size.
        limit: usize,
    },
    /// The cursor is not valid.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// The retries were exhausted by conflicts with other writes. It is safe to try again.
    #[error("too many concurrent changes; try again")]
    Contended,
    /// The list has not reached the position. It is safe to try again.
    #[error("the list has not reached position {position}; try again")]
    ListBehind {
        /// The requested position.
        position: Position,
    },
    /// The log does not have the position. It was replaced or restored from a backup.
    #[error(
        "position {position} is beyond the head of the log: {head}; the log was restored from a backup or replaced, so \
         continue from a position that it has"
    )]
    BeyondHead {
        /// The requested position.
        position: Position,
        /// The position of the newest event.
        head: Position,
    },
    /// The store was opened to read only.
    #[error("this node cannot write; send the request to a node that can")]
    ReadOnly,
    /// The store is temporarily unavailable.
    #[error("the store is unavailable; try again later")]
    Unavailable(#[source] Source),
    /// The service failed.
    #[error("internal error")]
    Internal(#[source] Source),
}

impl AppError {
    /// Returns the reason of a refusal, if it is an `R`.
    #[must_use]
    pub fn refusal<R: Refusal>(&self) -> Option<&R> {
        match self {
            Self::Refused(refusal) => (&**refusal as &dyn Any).downcast_ref(),
            _ => None,
        }
    }

    /// Returns whether the caller must change the request. Otherwise the same request can succeed later.
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Contended | Self::ListBehind { .. } | Self::Unavailable(_) | Self::Internal(_)
        )
    }

    /// Logs the error if the service or the store caused it.
    pub(crate) fn log(&self) {
        match self {
            Self::Unavailable(_) | Self::Internal(_) => {
                tracing::error!(error = self.chain(), "request failed");
            }
            Self::Contended | Self::ListBehind { .. } => {
                tracing::warn!(error = %self, "request failed");
            }
            _ => {}
        }
    }

    /// Returns the error with all its sources as text.
    fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// Returns the stable error code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::RevisionMismatch { .. } => "revision_mismatch",
            Self::KeyReused { .. } => "idempotency_key_reused",
            Self::InvalidKey { .. } => "invalid_idempotency_key",
            Self::Text(_) => "invalid_text",
            Self::InvalidLimit { .. } => "invalid_limit",
            Self::Cursor(_) => "invalid_cursor",
            Self::Contended => "contended",
            Self::ListBehind { .. } => "lists_behind",
            Self::BeyondHead { .. } => "position_beyond_head",
            Self::ReadOnly => "read_only",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// Returns the machine-readable details of the error, by name.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Refused(refusal) => refusal.facts(),
            Self::ListBehind { position } => vec![("position", position.get().into())],
            Self::BeyondHead { position, head } => {
                vec![
                    ("position", position.get().into()),
                    ("head", head.get().into()),
                ]
            }
            Self::RevisionMismatch { expected, actual } => {
                vec![
                    ("expected", (*expected).into()),
                    ("actual", (*actual).into()),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// Returns the name of the invalid request field, if the error is about one.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => refusal.field(),
            Self::InvalidLimit { .. } => Some("limit"),
            Self::Cursor(_) => Some("cursor"),
            _ => None,
        }
    }
}

impl<R: Refusal> From<R> for AppError {
    fn from(refusal: R) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            // Another node, or this one after a restart, can serve the request.
            StoreError::Unavailable(_)
            | StoreError::Interrupted(_)
            | StoreError::Closed
            | StoreError::CannotOpen(_)
            | StoreError::NewerSchema { .. } => Self::Unavailable(error.into()),
            StoreError::ReadOnly => Self::ReadOnly,
            StoreError::Invalid(field) => Self::Text(field),
            StoreError::BeyondHead { position, head } => Self::BeyondHead { position, head },
            _ => Self::Internal(error.into()),
        }
    }
}

impl From<LoadError> for AppError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => error.into(),
            other => Self::Internal(other.into()),
        }
    }
}

impl<R: Refusal> From<ExecuteError<R>> for AppError {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Rejected(refusal) => refusal.into(),
            ExecuteError::KeyReused { key } => Self::KeyReused {
                // Removes the actor prefix that `scoped_key` added.
                key: key
                    .split_once('-')
                    .map_or(key.clone(), |(_, key)| key.to_owned()),
            },
            ExecuteError::Store(error) => error.into(),
            ExecuteError::Conflict { .. } => Self::Contended,
            ExecuteError::InvalidAppend(InvalidAppend::Field(field)) => Self::Text(field),
            other => Self::Internal(other.into()),
        }
    }
}

impl AppError {
    /// Converts the error of a command that expected the revision `expected`.
    pub(super) fn with_expected_revision<R: Refusal>(
        error: ExecuteError<R>,
        expected: u64,
    ) -> Self {
        if let ExecuteError::Conflict { conflict, .. } = &error {
            for violation in &conflict.violations {
                if let Violation::Version { actual, .. } = violation {
                    let actual = actual.get();
                    return Self::RevisionMismatch { expected, actual };
                }
            }
        }
        error.into()
    }
}

impl From<AppendError> for AppError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Store(error) => error.into(),
            AppendError::Conflict(_) => Self::Contended,
            AppendError::Invalid(InvalidAppend::Field(field)) => Self::Text(field),
            other => Self::Internal(other.into()),
        }
    }
}

impl From<ControlError> for AppError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Store(error) => error.into(),
            ControlError::Wait(error) => error.into(),
            other => Self::Internal(other.into()),
        }
    }
}

impl From<WaitError> for AppError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::BeyondHead { position, head, .. } => Self::BeyondHead { position, head },
            // Another node, or this one after a restart, can continue.
            other => Self::Unavailable(other.into()),
        }
    }
}
