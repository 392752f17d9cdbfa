//! [`BackendError`]: errors of SQLite, and their conversion into the errors of the framework.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use factum_core::append::AppendError;
use factum_core::document::DocumentError;
use factum_core::error::StoreError;
use rusqlite::ffi::ErrorCode;

/// A failure of the database; a clone of it can be returned to each append of a batch.
#[derive(Debug, Clone)]
pub enum BackendError {
    Sqlite(Arc<rusqlite::Error>),
    Corrupt(Arc<str>),
    /// An inline projection rejected the append.
    Rejected(Arc<AppendError>),
    /// The file at this path was deleted, moved or replaced while it was open.
    FileLost(Arc<Path>),
    ReadOnly,
    Closed,
}

impl BackendError {
    pub fn corrupt(reason: impl fmt::Display) -> Self {
        Self::Corrupt(reason.to_string().into())
    }

    /// Returns the error code of SQLite, if it has one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    /// Returns whether the operating system does not allow an access to the file or its directory.
    pub fn is_access_denied(&self) -> bool {
        let code = self.code();
        code.is_some_and(|code| {
            matches!(
                code,
                ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly
            )
        })
    }

    /// Returns whether the data of a single append can be the cause.
    ///
    /// The other appends of the batch may then succeed without it.
    pub fn is_data_error(&self) -> bool {
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
            Self::FileLost(_) | Self::ReadOnly | Self::Closed => false,
        }
    }

    /// Returns whether the connection cannot be used again.
    pub fn breaks_connection(&self) -> bool {
        match self {
            Self::Sqlite(error) => code_breaks_connection(error.sqlite_error_code()),
            Self::Rejected(error) => matches!(**error, AppendError::Store(StoreError::Failed(_))),
            Self::Corrupt(_) | Self::FileLost(_) | Self::ReadOnly | Self::Closed => false,
        }
    }
}

/// Returns whether a new connection may work after an error with this code.
pub fn code_breaks_connection(code: Option<ErrorCode>) -> bool {
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

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Corrupt(reason) => f.write_str(reason),
            Self::Rejected(error) => error.fmt(f),
            Self::FileLost(path) => write!(
                f,
                "the database file was deleted, moved or replaced while it was open: {}; \
                 put the file back, or restart the program",
                path.display()
            ),
            Self::ReadOnly => StoreError::ReadOnly.fmt(f),
            Self::Closed => StoreError::Closed.fmt(f),
        }
    }
}

/// Returns whether another connection holds the lock of the file.
pub fn is_busy(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
}

impl From<rusqlite::Error> for BackendError {
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

impl From<BackendError> for StoreError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Corrupt(reason) => Self::Corrupt(reason.to_string()),
            BackendError::Closed => Self::Closed,
            BackendError::ReadOnly => Self::ReadOnly,
            lost @ BackendError::FileLost(_) => Self::Failed(lost.to_string().into()),
            BackendError::Rejected(error) => match unshare(error) {
                AppendError::Store(error) => error,
                error => Self::Failed(error.into()),
            },
            BackendError::Sqlite(error) => match error.sqlite_error_code() {
                Some(code) if is_busy(code) => Self::Unavailable(Box::new(error)),
                _ => Self::Failed(Box::new(error)),
            },
        }
    }
}

impl From<BackendError> for AppendError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Rejected(error) => unshare(error),
            error => Self::Store(error.into()),
        }
    }
}

/// Returns the error itself if this is its last owner, otherwise a store error with it as the source.
fn unshare(error: Arc<AppendError>) -> AppendError {
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

impl From<BackendError> for DocumentError {
    fn from(error: BackendError) -> Self {
        Self::Store(error.into())
    }
}
