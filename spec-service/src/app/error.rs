//! [`AppError`]: why a request is not fulfilled, in facts that each API puts into its own words.

use factum::{
    AppendError, ExecuteError, LoadError, Position, ProjectionError, StoreError, Violation,
    WaitError,
};
use serde_json::Value;
use thiserror::Error;

use super::list::{InvalidCursor, MAX_LIMIT};
use crate::domain::{ContentError, NameError, Rejection};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a request is not fulfilled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppError {
    /// The name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The content breaks a rule.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The rules of the domain do not allow it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The specification has changed since the caller saw it.
    #[error("the specification is at revision {actual}, expected {expected}")]
    RevisionMismatch {
        /// The revision that the caller expects.
        expected: u64,
        /// The revision that it has.
        actual: u64,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key {key:?} was already used for another request")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The idempotency key is empty or too long.
    #[error("an idempotency key has 1 to 200 bytes, this one has {bytes}")]
    Key {
        /// The bytes it has.
        bytes: usize,
    },
    /// More specifications, or fewer, than a page can have.
    #[error("a page has 1 to {MAX_LIMIT} specifications, not {limit}")]
    Limit {
        /// What was asked for.
        limit: usize,
    },
    /// The cursor was not given out by the list.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// Others were faster, again and again. It is safe to try again.
    #[error("the specification is being changed by others, try again")]
    Contended,
    /// Lists do not show what was written at this position. It is safe to try again.
    #[error("lists have not come to position {position} yet, try again")]
    Behind {
        /// The position asked for.
        position: Position,
    },
    /// The store does not answer at the moment.
    #[error("the store is not available")]
    Unavailable(#[source] Source),
    /// Something is broken on this side.
    #[error("the service failed")]
    Internal(#[source] Source),
}

impl AppError {
    /// Tells the log, if it is the service that fails.
    pub(crate) fn log(&self) {
        match self {
            Self::Unavailable(_) | Self::Internal(_) => {
                tracing::error!(error = self.chain(), "request failed");
            }
            Self::Contended | Self::Behind { .. } => {
                tracing::warn!(error = %self, "request failed");
            }
            _ => {}
        }
    }

    /// It and what caused it.
    fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// The kind of error, as a word for machines; it never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "invalid_name",
            Self::Content(error) => error.code(),
            Self::Rejected(rejection) => match rejection {
                Rejection::NotFound => "not_found",
                Rejection::AlreadyExists => "already_exists",
                Rejection::Deleted => "deleted",
                Rejection::NameTaken { .. } => "name_taken",
                Rejection::NotAllowed { .. } => "illegal_transition",
                Rejection::AlreadyPublished { .. } => "already_published",
                Rejection::NoSuchVersion { .. } => "no_such_version",
                Rejection::VersionMismatch { .. } => "version_mismatch",
                Rejection::NoReason => "reason_missing",
                Rejection::TooLong { .. } => "too_long",
            },
            Self::RevisionMismatch { .. } => "revision_mismatch",
            Self::KeyReused { .. } => "idempotency_key_reused",
            Self::Key { .. } => "invalid_idempotency_key",
            Self::Limit { .. } => "invalid_limit",
            Self::Cursor(_) => "invalid_cursor",
            Self::Contended => "contended",
            Self::Behind { .. } => "lists_behind",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What a machine may want to know of it, by name.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Content(error) => error.place().map_or_else(Vec::new, |at| {
                vec![("line", at.line.into()), ("column", at.column.into())]
            }),
            Self::Rejected(rejection) => facts_of(rejection),
            Self::Behind { position } => vec![("position", position.get().into())],
            Self::RevisionMismatch { expected, actual } => {
                vec![
                    ("expected", (*expected).into()),
                    ("actual", (*actual).into()),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// The field of the request that breaks a rule, if one does.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Name(_) => Some("name"),
            Self::Content(_) => Some("content"),
            Self::Rejected(Rejection::NoReason) => Some("reason"),
            Self::Rejected(Rejection::TooLong { field, .. }) => Some(field),
            Self::Limit { .. } => Some("limit"),
            Self::Cursor(_) => Some("cursor"),
            _ => None,
        }
    }
}

fn facts_of(rejection: &Rejection) -> Vec<(&'static str, Value)> {
    match rejection {
        Rejection::NameTaken { name } => vec![("name", name.as_str().into())],
        Rejection::NotAllowed {
            state,
            action,
            allowed,
        } => {
            let allowed: Vec<&str> = allowed.iter().map(|action| action.as_str()).collect();
            vec![
                ("state", state.as_str().into()),
                ("action", action.as_str().into()),
                ("allowed", allowed.into()),
            ]
        }
        Rejection::AlreadyPublished { version } => vec![("version", (*version).into())],
        Rejection::NoSuchVersion { latest, .. } => vec![("latest_version", (*latest).into())],
        Rejection::VersionMismatch { expected, latest } => {
            vec![
                ("expected", (*expected).into()),
                ("latest_version", (*latest).into()),
            ]
        }
        Rejection::NotFound
        | Rejection::AlreadyExists
        | Rejection::Deleted
        | Rejection::NoReason
        | Rejection::TooLong { .. } => Vec::new(),
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Interrupted(_) | StoreError::Closed => {
                Self::Unavailable(error.into())
            }
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

impl From<ExecuteError<Rejection>> for AppError {
    fn from(error: ExecuteError<Rejection>) -> Self {
        match error {
            ExecuteError::Rejected(rejection) => Self::Rejected(rejection),
            ExecuteError::KeyReused { key } => Self::KeyReused {
                // Without the actor that the service puts ahead of it.
                key: key
                    .split_once('-')
                    .map_or(key.clone(), |(_, key)| key.to_owned()),
            },
            ExecuteError::Store(error) => error.into(),
            ExecuteError::Conflict { .. } => Self::Contended,
            other => Self::Internal(other.into()),
        }
    }
}

impl AppError {
    /// What `error` means to a caller who expects the revision `expected`.
    pub(super) fn expecting(error: ExecuteError<Rejection>, expected: u64) -> Self {
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
            other => Self::Internal(other.into()),
        }
    }
}

impl From<ProjectionError> for AppError {
    fn from(error: ProjectionError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<WaitError> for AppError {
    fn from(error: WaitError) -> Self {
        Self::Internal(error.into())
    }
}
