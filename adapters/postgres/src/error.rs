//! What PostgreSQL says, in the framework's words.

use std::fmt;
use std::sync::Arc;

use factum::{AppendError, StoreError};

/// A failure that every append of a batch can be told.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Sql(Arc<sqlx::Error>),
    Corrupt(Arc<str>),
}

impl Fault {
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self::Corrupt(what.to_string().into())
    }

    /// Whether one append alone can be the cause, so that its neighbours may succeed without it: data
    /// exceptions, violated constraints, limits of the program.
    pub(crate) fn is_of_the_content(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        matches!(class(error).as_deref(), Some("22" | "23" | "54"))
    }

    /// Whether the connection can be used again: the server refused a statement, and did not go away.
    pub(crate) fn leaves_the_connection(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        class(error).is_some_and(|class| !matches!(class.as_str(), "08" | "57"))
    }
}

/// The class of the SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn class(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    code.get(..2).map(str::to_owned)
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(Arc::new(error))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let error = match fault {
            Fault::Corrupt(what) => return Self::Corrupt(what.to_string()),
            Fault::Sql(error) => error,
        };
        match &*error {
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => Self::Unavailable(Box::new(error)),
            // Connection exceptions, serialization failures, too many connections, the server stops.
            other => match class(other).as_deref() {
                Some("08" | "40" | "53" | "57") => Self::Unavailable(Box::new(error)),
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
