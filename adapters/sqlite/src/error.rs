//! What SQLite says, in the framework's words.

use std::fmt;
use std::sync::Arc;

use factum::{AppendError, StoreError};
use rusqlite::ffi::ErrorCode;

/// A failure that every append of a batch can be told.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Sqlite(Arc<rusqlite::Error>),
    Sqlx(Arc<sqlx::Error>),
    Corrupt(Arc<str>),
    Closed,
}

/// Primary result codes, <https://www.sqlite.org/rescode.html>.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;

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
            Self::Sqlx(_) | Self::Closed => false,
        }
    }

    /// Whether the connection is in doubt: another may do better.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        matches!(
            error.sqlite_error_code(),
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
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Sqlx(error) => error.fmt(f),
            Self::Corrupt(what) => f.write_str(what),
            Self::Closed => f.write_str("the store is closed"),
        }
    }
}

/// Whether another writer holds the file.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    let code = || {
        let code = error.as_database_error()?.code()?;
        code.parse::<i32>().ok().map(|extended| extended & 0xff)
    };
    matches!(code(), Some(SQLITE_BUSY | SQLITE_LOCKED))
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
        Self::Store(fault.into())
    }
}

/// `error` as the framework's [`StoreError`].
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    Fault::from(error).into()
}
