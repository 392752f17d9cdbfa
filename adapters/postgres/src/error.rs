//! [`BackendError`]: errors of PostgreSQL, and their conversion into the errors of the framework.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::iter::successors;
use std::sync::Arc;

use factum_core::append::{Append, AppendError, Conflict, Violation};
use factum_core::document::{DocumentChanges, DocumentError, Revision};
use factum_core::error::{Outage, StoreError};
use factum_sql::SqlError;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use uuid::Uuid;

/// A failure of the database; a clone of it can be returned to each append of a batch.
#[derive(Debug, Clone)]
pub enum BackendError {
    Sql(Arc<sqlx::Error>),
    /// An error after which it is known that nothing was executed.
    NotExecuted(Arc<sqlx::Error>),
    Corrupt(Arc<str>),
}

impl BackendError {
    pub fn corrupt(reason: impl fmt::Display) -> Self {
        Self::Corrupt(reason.to_string().into())
    }

    /// Marks the error as one after which nothing was executed.
    pub fn into_not_executed(self) -> Self {
        match self {
            Self::Sql(error) => Self::NotExecuted(error),
            other => other,
        }
    }

    fn sql(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Sql(error) | Self::NotExecuted(error) => Some(error),
            Self::Corrupt(_) => None,
        }
    }

    /// Returns whether the data of a single append can be the cause.
    ///
    /// The other appends of the batch may then succeed without it. These are data exceptions, constraint violations and
    /// exceeded program limits.
    pub fn is_data_error(&self) -> bool {
        let code = self.sql().and_then(code);
        code.is_some_and(|code| matches!(code.get(..2), Some("22" | "23" | "54")))
    }

    /// Returns whether a commit was rejected because of the changes of the transaction.
    ///
    /// The cause is a deferred constraint or an error that a trigger raises. It is not the state of the transaction,
    /// another transaction, or a lack of resources.
    pub fn is_rejected_at_commit(&self) -> bool {
        let code = self.sql().and_then(code);
        let other_cause = code.is_none_or(|code| {
            code.starts_with("25") || is_transient_code(&code) || ends_connection(&code)
        });
        !other_cause && !self.follows_ignored_error()
    }

    /// Returns whether an earlier statement of the transaction had failed and its error was ignored.
    pub fn follows_ignored_error(&self) -> bool {
        let rejected = self.sql().and_then(sqlx::Error::as_database_error);
        rejected.is_some_and(follows_failed_statement)
    }

    /// Returns the documents that are at another revision, if `must_change` failed because of them.
    pub fn moved_documents(&self) -> Option<MovedDocuments> {
        let error = self.sql()?.as_database_error()?;
        if error.code()? != "MOVED" {
            return None;
        }
        let detail = error.try_downcast_ref::<PgDatabaseError>()?.detail()?;
        serde_json::from_str(detail).ok().map(MovedDocuments)
    }

    /// Returns the event id that is stored already, if it is the reason why an append was rejected.
    pub fn reused_event_id(&self) -> Option<Uuid> {
        let error = self.sql()?.as_database_error()?;
        if !error.is_unique_violation() || error.constraint() != Some("event_id") {
            return None;
        }
        // `Key (id)=(018f…) already exists.`, in the language of the server.
        let detail = error.try_downcast_ref::<PgDatabaseError>()?.detail()?;
        detail.split(['(', ')']).find_map(|part| part.parse().ok())
    }

    /// Returns whether the connection cannot be used again.
    ///
    /// It can be used again if the server only rejected a statement. A server that has become a standby rejects all
    /// statements that write; another connection may reach its successor.
    pub fn breaks_connection(&self) -> bool {
        self.sql().is_some_and(|error| {
            error.as_database_error().is_none()
                || code(error).is_some_and(|code| ends_connection(&code) || code == READ_ONLY)
        })
    }

    /// Returns whether the statement may have been committed although it has no result.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Sql(error) => error.as_database_error().is_none() || is_unknown_outcome(error),
            Self::NotExecuted(_) | Self::Corrupt(_) => false,
        }
    }
}

/// The actual revisions of documents that a change required at other revisions.
pub struct MovedDocuments(HashMap<String, u64>);

impl MovedDocuments {
    /// Returns the error for `changes`: the first of its documents that is at another revision.
    pub fn first_of(&self, changes: &DocumentChanges) -> Option<DocumentError> {
        changes.as_slice().iter().find_map(|change| {
            let expected = change.expected?;
            let actual = Revision::new(*self.0.get(&change.key)?);
            (expected != actual).then(|| DocumentError::RevisionConflict {
                key: change.key.clone(),
                expected,
                actual,
            })
        })
    }

    /// Returns the violation of `append`, if one of its documents is at another revision.
    pub fn violation(&self, append: &Append) -> Option<Violation> {
        match self.first_of(&append.changes)? {
            DocumentError::RevisionConflict {
                key,
                expected,
                actual,
            } => Some(Violation::Document {
                key,
                expected,
                actual,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) | Self::NotExecuted(error) => error.fmt(f),
            Self::Corrupt(reason) => reason.fmt(f),
        }
    }
}

/// Returns the SQLSTATE.
///
/// See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// Returns whether the server reported an error after which a commit may have happened.
fn is_unknown_outcome(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| ends_connection(&code) || code == COMPLETION_UNKNOWN)
}

impl From<sqlx::Error> for BackendError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(Arc::new(error))
    }
}

impl From<BackendError> for StoreError {
    fn from(error: BackendError) -> Self {
        let (error, not_executed) = match error {
            BackendError::Corrupt(reason) => return Self::Corrupt(reason.to_string()),
            BackendError::Sql(error) => (error, false),
            BackendError::NotExecuted(error) => (error, true),
        };
        match &*error {
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::PoolTimedOut => Self::Unavailable(error.into()),
            // For example, the certificate of the server is not valid.
            sqlx::Error::Io(cause) if cause.kind() == ErrorKind::InvalidData => {
                Self::Failed(Box::new(error))
            }
            sqlx::Error::Io(_) if not_executed => Self::Unavailable(error.into()),
            sqlx::Error::Io(_) => Self::Interrupted(error.into()),
            other if !not_executed && is_unknown_outcome(other) => Self::Interrupted(error.into()),
            other => match code(other) {
                Some(code) if is_transient_code(&code) || ends_connection(&code) => {
                    Self::Unavailable(error.into())
                }
                _ => Self::Failed(Box::new(error)),
            },
        }
    }
}

/// The SQLSTATEs that another transaction can cause: serialization failure, deadlock, unique violation.
const CONFLICTS: [&str; 3] = ["40001", "40P01", "23505"];

impl From<BackendError> for AppendError {
    fn from(error: BackendError) -> Self {
        let rejected = error.sql().and_then(sqlx::Error::as_database_error);
        let conflict =
            rejected.filter(|error| CONFLICTS.contains(&&*error.code().unwrap_or_default()));
        match conflict {
            Some(conflict) => {
                let reason = format!("{conflict} ({})", conflict.code().unwrap_or_default());
                let violations = vec![Violation::Transaction { reason }];
                Self::Conflict(Conflict { violations })
            }
            None => Self::Store(error.into()),
        }
    }
}

/// Converts the error of a statement that is safe to repeat.
pub fn store_error(error: sqlx::Error) -> StoreError {
    BackendError::from(error).into_not_executed().into()
}

/// Returns whether a statement was rejected because an earlier one of the transaction had failed.
///
/// The transaction accepts no more statements, it has already ended, or the savepoint to roll back to was rejected.
pub fn follows_failed_statement(error: &dyn DatabaseError) -> bool {
    matches!(error.code().as_deref(), Some("25P02" | "25P01" | "3B001"))
}

/// Converts the error of a statement of user code.
pub fn sql_error(error: sqlx::Error) -> SqlError {
    if is_outdated_plan(&error) {
        return StoreError::Unavailable(error.into()).into();
    }
    // In a view, a statement that writes is a mistake of the code.
    match is_transient(&error) && code(&error).as_deref() != Some(READ_ONLY) {
        true => StoreError::Unavailable(error.into()).into(),
        false => SqlError::driver(error),
    }
}

/// Returns whether a prepared statement was rejected because its result has other columns than before.
///
/// For example, a projection was promoted whose table has another column, and the statement is `select *`.
pub fn is_outdated_plan(error: &sqlx::Error) -> bool {
    let rejected = error.as_database_error();
    let rejected = rejected.and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    // The message is in the language of the server, and the code has other causes, too.
    rejected.is_some_and(|error| {
        error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
    })
}

/// Returns whether a retry may succeed, according to any error in the chain of sources.
///
/// A transaction that the server ended because the code waited in it would be too slow again.
pub fn is_transient(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = successors(Some(error), |&error| error.source());
    Outage::is_in(error)
        || causes.any(|error| {
            let rejected = error.downcast_ref::<Box<dyn DatabaseError>>();
            let code = rejected.and_then(|rejected| rejected.code());
            let failed = error.downcast_ref::<sqlx::Error>();
            let is_transient = |code: &str| is_transient_code(code) || ends_connection(code);
            code.is_some_and(|code| is_transient(&code) && !code.starts_with("25P"))
                || failed.is_some_and(|error| {
                    matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)
                })
        })
}

/// A statement that writes was rejected, because the transaction is read-only.
///
/// Servers become read-only when they become a standby, and managed ones also when their disk is full.
const READ_ONLY: &str = "25006";
/// It is unknown whether the statement was completed.
const COMPLETION_UNKNOWN: &str = "40003";

/// Returns whether a retry may succeed after the server rejected a statement with `code`.
///
/// The server has undone the statement. The classes are serialization failures and deadlocks (40), insufficient
/// resources such as a full disk (53), and errors of the operating system (58). The single codes are a lock timeout, a
/// statement timeout or cancellation, and a read-only server.
fn is_transient_code(code: &str) -> bool {
    match code.get(..2) {
        Some("53" | "58") => true,
        // A deferred constraint is violated by the data.
        Some("40") => code != "40002",
        _ => matches!(code, "55P03" | "57014" | READ_ONLY),
    }
}

/// Returns whether the connection is lost after `code`.
///
/// These are connection exceptions (08), a shutdown, crash or start of the server, a dropped database, and the timeouts
/// of idle sessions and of transactions.
fn ends_connection(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || matches!(code, "25P03" | "25P04")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_server_are_classified() {
        // Nothing was stored, and a retry may succeed.
        for code in [
            "40001", "40P01", "53100", "53200", "53300", "58030", "58P01", "55P03", "57014",
            "25006",
        ] {
            assert!(is_transient_code(code) && !ends_connection(code), "{code}");
        }
        // The connection is lost, and a commit may have happened.
        for code in [
            "08003", "08006", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04",
        ] {
            assert!(ends_connection(code) && !is_transient_code(code), "{code}");
        }
        // A retry does not help.
        for code in [
            "22P02", "23505", "28P01", "3D000", "40002", "42501", "42601", "42P01", "54000",
            "XX000",
        ] {
            assert!(!is_transient_code(code) && !ends_connection(code), "{code}");
        }
    }
}
