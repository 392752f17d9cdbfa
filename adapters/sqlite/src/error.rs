//! What SQLite says, in the framework's words.

use std::fmt;
use std::sync::Arc;

use factum::{AppendError, StoreError};

/// A failure that every append of a batch can be told.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Sqlite(Arc<sqlx::Error>),
    Corrupt(Arc<str>),
}

/// Primary result codes, <https://www.sqlite.org/rescode.html>.
const SQLITE_ERROR: i32 = 1;
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_TOOBIG: i32 = 18;
const SQLITE_CONSTRAINT: i32 = 19;

impl Fault {
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self::Corrupt(what.to_string().into())
    }

    /// Whether one append alone can be the cause, so that its neighbours may succeed without it.
    pub(crate) fn is_of_the_content(&self) -> bool {
        match self {
            Self::Sqlite(error) => {
                matches!(result_code(error), Some(SQLITE_TOOBIG | SQLITE_CONSTRAINT))
            }
            Self::Corrupt(_) => false,
        }
    }

    /// Whether what was read can be the cause: a value that the code does not take, or that SQLite's JSON
    /// functions do not.
    pub(crate) fn is_of_the_data(&self) -> bool {
        match self {
            Self::Corrupt(_) => true,
            Self::Sqlite(error) => {
                matches!(**error, sqlx::Error::ColumnDecode { .. })
                    || result_code(error) == Some(SQLITE_ERROR)
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Corrupt(what) => f.write_str(what),
        }
    }
}

/// The primary result code that SQLite gave, if it was SQLite that failed.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|extended| extended & 0xff)
}

/// Whether another writer holds the file.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(result_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED))
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let error = match fault {
            Fault::Corrupt(what) => return Self::Corrupt(what.to_string()),
            Fault::Sqlite(error) => error,
        };
        match &*error {
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::PoolTimedOut => Self::Unavailable(Box::new(error)),
            other if is_busy(other) => Self::Unavailable(Box::new(error)),
            _ => Self::Failed(Box::new(error)),
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
