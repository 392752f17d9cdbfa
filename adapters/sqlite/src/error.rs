//! What SQLite says, in the framework's words.

use std::fmt;
use std::sync::Arc;

use factum::document::ChangeError;
use factum::{AppendError, StepError, StoreError};
use rusqlite::ffi::{self, ErrorCode};

/// A failure that every append of a batch can be told.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Sqlite(Arc<rusqlite::Error>),
    Sqlx(Arc<sqlx::Error>),
    Corrupt(Arc<str>),
    /// By an inline projection.
    Rejected(Arc<AppendError>),
    Closed,
}

impl Fault {
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self::Corrupt(what.to_string().into())
    }

    /// Whether one append alone can be the cause, so that its neighbours may succeed without it.
    pub(crate) fn is_of_the_content(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation)
            ),
            Self::Corrupt(_) => true,
            Self::Rejected(error) => matches!(
                **error,
                AppendError::Projection { .. } | AppendError::Store(StoreError::Corrupt(_))
            ),
            Self::Sqlx(_) | Self::Closed => false,
        }
    }

    /// Whether the connection is in doubt: another may do better.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Sqlite(error) => in_doubt(error.sqlite_error_code()),
            Self::Sqlx(error) => match &**error {
                sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
                error => in_doubt(code(error)),
            },
            Self::Rejected(error) => matches!(**error, AppendError::Store(StoreError::Failed(_))),
            Self::Corrupt(_) | Self::Closed => false,
        }
    }
}

fn in_doubt(code: Option<ErrorCode>) -> bool {
    matches!(
        code,
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::ApiMisuse
                | ErrorCode::OutOfMemory
                | ErrorCode::InternalMalfunction
        )
    )
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Sqlx(error) => error.fmt(f),
            Self::Corrupt(what) => f.write_str(what),
            Self::Rejected(error) => error.fmt(f),
            Self::Closed => f.write_str("the store is closed"),
        }
    }
}

/// Whether another writer holds the file.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(
        code(error),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Whether the file is the reason, and not what was to be done with it.
pub(crate) fn is_of_the_file(error: &sqlx::Error) -> bool {
    is_busy(error) || matches!(error, sqlx::Error::WorkerCrashed) || in_doubt(code(error))
}

fn code(error: &sqlx::Error) -> Option<ErrorCode> {
    let code = error.as_database_error()?.code()?;
    Some(ffi::Error::new(code.parse().ok()?).code)
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType,
        };
        match error {
            FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::corrupt(error),
            other => Self::Sqlite(Arc::new(other)),
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlx(Arc::new(error))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Corrupt(what) => Self::Corrupt(what.to_string()),
            Fault::Closed => Self::Closed,
            Fault::Rejected(error) => match again(error) {
                AppendError::Store(error) => error,
                error => Self::Failed(error.into()),
            },
            Fault::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    Self::Unavailable(Box::new(error))
                }
                _ => Self::Failed(Box::new(error)),
            },
            Fault::Sqlx(error) => match &*error {
                sqlx::Error::PoolClosed => Self::Closed,
                sqlx::Error::PoolTimedOut => Self::Unavailable(Box::new(error)),
                other if is_busy(other) => Self::Unavailable(Box::new(error)),
                _ => Self::Failed(Box::new(error)),
            },
        }
    }
}

impl From<Fault> for AppendError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Rejected(error) => again(error),
            fault => Self::Store(fault.into()),
        }
    }
}

/// `error`, told to one of perhaps several.
fn again(error: Arc<AppendError>) -> AppendError {
    match Arc::try_unwrap(error) {
        Ok(error) => error,
        Err(shared) => match &*shared {
            AppendError::Store(StoreError::Unavailable(_)) => {
                StoreError::Unavailable(shared.into()).into()
            }
            _ => StoreError::Failed(shared.into()).into(),
        },
    }
}

impl From<Fault> for ChangeError {
    fn from(fault: Fault) -> Self {
        Self::Store(fault.into())
    }
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> Self {
        Self::Store(fault.into())
    }
}

/// `error` as the framework's [`StoreError`].
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    Fault::from(error).into()
}
