//! [`BackendError`]: errors of SQLite, and their conversion into the errors of the framework.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use factum_core::append::AppendError;
use factum_core::document::DocumentError;
use factum_core::error::{BoxError, Outage, StoreError, error_chain};
use factum_sql::SqlError;
use rusqlite::ffi::ErrorCode;

/// A failure of the database; a clone of it can be returned to each append of a batch.
#[derive(Debug, Clone)]
pub enum BackendError {
    Sqlite(Arc<rusqlite::Error>),
    /// A commit failed.
    Commit(Arc<rusqlite::Error>),
    Corrupt(Arc<str>),
    /// An inline projection rejected the append.
    Rejected(Arc<AppendError>),
    /// The file at this path was deleted, moved or replaced while it was open.
    FileLost(Arc<Path>),
    ReadOnly,
    Closed,
}

impl BackendError {
    pub fn commit(error: rusqlite::Error) -> Self {
        Self::Commit(Arc::new(error))
    }

    pub fn corrupt(reason: impl fmt::Display) -> Self {
        Self::Corrupt(reason.to_string().into())
    }

    /// Returns the error code of SQLite, if it has one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) | Self::Commit(error) => error.sqlite_error_code(),
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
            Self::Sqlite(error) | Self::Commit(error) => matches!(
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
            Self::Sqlite(error) | Self::Commit(error) => {
                code_breaks_connection(error.sqlite_error_code())
            }
            Self::Rejected(error) => match &**error {
                AppendError::Store(error) => store_error_breaks_connection(error),
                _ => false,
            },
            Self::Corrupt(_) | Self::FileLost(_) | Self::ReadOnly | Self::Closed => false,
        }
    }
}

/// Returns whether a new connection may work after an error of a transaction with user code.
pub fn store_error_breaks_connection(error: &StoreError) -> bool {
    !matches!(error, StoreError::Closed | StoreError::Corrupt(_))
}

/// Returns whether a new connection may work after an error with this code.
fn code_breaks_connection(code: Option<ErrorCode>) -> bool {
    matches!(
        code,
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::ApiMisuse
                | ErrorCode::OutOfMemory
                | ErrorCode::InternalMalfunction
        )
    )
}

/// The cause of an error of SQLite, if it is neither the statement nor its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The file is locked, or the operating system refuses, for example because the disk is full.
    Transient,
    Corrupt,
    /// SQLite or this crate has a defect.
    Defect,
}

impl Fault {
    fn of(code: ErrorCode) -> Option<Self> {
        match code {
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed => Some(Self::Transient),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(Self::Corrupt),
            ErrorCode::ApiMisuse | ErrorCode::InternalMalfunction => Some(Self::Defect),
            _ => None,
        }
    }
}

/// Returns whether nothing was stored although `code` is the error of a commit.
///
/// After other errors, for example a failed sync, the commit may be found in the file when it is opened again.
fn is_certain_at_commit(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::ConstraintViolation
    )
}

/// Converts the error of a statement of user code.
pub fn sql_error(error: rusqlite::Error) -> SqlError {
    match error.sqlite_error_code() {
        // In a view, a statement that writes is a mistake of the code.
        Some(ErrorCode::ReadOnly) | None => SqlError::driver(error),
        Some(code) => match Fault::of(code) {
            Some(Fault::Transient) => StoreError::Unavailable(error.into()).into(),
            _ => SqlError::driver(error),
        },
    }
}

/// Converts an error of user code if the file is its cause, and not a statement or an event.
pub fn store_error(error: BoxError) -> Result<StoreError, BoxError> {
    if Outage::is_in(&*error) {
        return Ok(StoreError::Unavailable(error.into()));
    }
    let source: &(dyn std::error::Error + 'static) = &*error;
    let mut causes = std::iter::successors(Some(source), |&error| error.source());
    let code =
        causes.find_map(|error| error.downcast_ref::<rusqlite::Error>()?.sqlite_error_code());
    match code.and_then(Fault::of) {
        Some(Fault::Transient) => Ok(StoreError::Unavailable(error.into())),
        Some(Fault::Corrupt) => Ok(StoreError::Corrupt(error_chain(&*error))),
        Some(Fault::Defect) => Ok(StoreError::Failed(error)),
        None => Err(error),
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) | Self::Commit(error) => error.fmt(f),
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
            // Only closing the store interrupts reads.
            other if other.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Self::Closed
            }
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
            BackendError::Commit(error)
                if !error.sqlite_error_code().is_some_and(is_certain_at_commit) =>
            {
                Self::Interrupted(error.into())
            }
            BackendError::Sqlite(error) | BackendError::Commit(error) => {
                match error.sqlite_error_code().and_then(Fault::of) {
                    Some(Fault::Transient) => Self::Unavailable(error.into()),
                    Some(Fault::Corrupt) => Self::Corrupt(error.to_string()),
                    Some(Fault::Defect) | None => Self::Failed(Box::new(error)),
                }
            }
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
            AppendError::Store(StoreError::Interrupted(_)) => {
                StoreError::Interrupted(shared.into()).into()
            }
            AppendError::Store(StoreError::Corrupt(reason)) => {
                StoreError::Corrupt(reason.clone()).into()
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

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    fn kind(error: BackendError) -> &'static str {
        match StoreError::from(error) {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Interrupted(_) => "interrupted",
            StoreError::Corrupt(_) => "corrupt",
            StoreError::Failed(_) => "failed",
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn errors_of_sqlite_are_classified() {
        for (code, at_statement, at_commit) in [
            (ffi::SQLITE_BUSY, "unavailable", "unavailable"),
            (ffi::SQLITE_LOCKED, "unavailable", "unavailable"),
            (ffi::SQLITE_FULL, "unavailable", "unavailable"),
            (ffi::SQLITE_IOERR_WRITE, "unavailable", "interrupted"),
            (ffi::SQLITE_IOERR_FSYNC, "unavailable", "interrupted"),
            (ffi::SQLITE_CANTOPEN, "unavailable", "interrupted"),
            (ffi::SQLITE_READONLY, "unavailable", "interrupted"),
            (ffi::SQLITE_NOMEM, "unavailable", "interrupted"),
            (ffi::SQLITE_CORRUPT, "corrupt", "interrupted"),
            (ffi::SQLITE_NOTADB, "corrupt", "interrupted"),
            (ffi::SQLITE_CONSTRAINT, "failed", "failed"),
            (ffi::SQLITE_ERROR, "failed", "interrupted"),
            (ffi::SQLITE_MISUSE, "failed", "interrupted"),
        ] {
            assert_eq!(kind(failure(code).into()), at_statement, "{code}");
            assert_eq!(
                kind(BackendError::commit(failure(code))),
                at_commit,
                "{code}"
            );
        }
    }

    #[test]
    fn only_faults_of_the_file_are_store_errors() {
        let wrapped = |code| -> BoxError { factum_sql::SqlError::driver(failure(code)).into() };
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_BUSY] {
            let error = store_error(wrapped(code));
            assert!(matches!(error, Ok(StoreError::Unavailable(_))), "{error:?}");
        }
        let error = store_error(wrapped(ffi::SQLITE_CORRUPT));
        assert!(matches!(error, Ok(StoreError::Corrupt(_))), "{error:?}");
        for code in [
            ffi::SQLITE_CONSTRAINT,
            ffi::SQLITE_ERROR,
            ffi::SQLITE_TOOBIG,
        ] {
            assert!(store_error(wrapped(code)).is_err(), "{code}");
        }
        assert!(store_error("not an error of the database".into()).is_err());
    }

    #[test]
    fn outage_during_a_statement_is_no_error_of_the_statement() {
        for (code, is_outage) in [
            (ffi::SQLITE_FULL, true),
            (ffi::SQLITE_BUSY, true),
            (ffi::SQLITE_CONSTRAINT, false),
            // A view cannot write.
            (ffi::SQLITE_READONLY, false),
        ] {
            let error = sql_error(failure(code));
            assert_eq!(Outage::is_in(&error), is_outage, "{code}");
        }
    }
}
