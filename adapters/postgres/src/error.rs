//! What PostgreSQL says, in the framework's words.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::sync::Arc;

use factum::document::{ChangeError, Changes, Revision};
use factum::{Append, AppendError, Conflict, StoreError, Violation};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// A failure that every append of a batch can be told.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Sql(Arc<sqlx::Error>),
    /// Nothing was done by it.
    InVain(Arc<sqlx::Error>),
    Corrupt(Arc<str>),
}

impl Fault {
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self::Corrupt(what.to_string().into())
    }

    /// The same failure, where it is known that nothing was done.
    pub(crate) fn in_vain(self) -> Self {
        match self {
            Self::Sql(error) => Self::InVain(error),
            other => other,
        }
    }

    fn sql(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Sql(error) | Self::InVain(error) => Some(error),
            Self::Corrupt(_) => None,
        }
    }

    /// Whether one append alone can be the cause, so that its neighbours may succeed without it: data
    /// exceptions, violated constraints, limits of the program.
    pub(crate) fn is_of_the_content(&self) -> bool {
        let class = self.sql().and_then(class);
        matches!(class.as_deref(), Some("22" | "23" | "54"))
    }

    /// Whether what a transaction did is the reason why its commit was rejected: a constraint that is checked as late as that, or
    /// whatever a trigger raises. Not the state of the transaction, other transactions, or too few resources.
    pub(crate) fn is_of_the_commit(&self) -> bool {
        let class = self.sql().and_then(class);
        let is_else = class.is_none_or(|class| matches!(class.as_str(), "25" | "40" | "53"));
        !is_else && !self.is_ignored() && self.leaves_the_connection()
    }

    /// Whether it was rejected because a statement ahead of it in the transaction had failed, and nobody minded.
    pub(crate) fn is_ignored(&self) -> bool {
        let rejected = self.sql().and_then(sqlx::Error::as_database_error);
        rejected.is_some_and(follows_an_error)
    }

    /// Where the documents are that have moved, if that is why nothing was done; see `must_change`.
    pub(crate) fn moved(&self) -> Option<Moved> {
        let error = self.sql()?.as_database_error()?;
        if error.code()? != "MOVED" {
            return None;
        }
        let detail = error.try_downcast_ref::<PgDatabaseError>()?.detail()?;
        serde_json::from_str(detail).ok().map(Moved)
    }

    /// Whether the connection can be used again: the server rejected a statement, and did not go away.
    pub(crate) fn leaves_the_connection(&self) -> bool {
        self.sql()
            .is_none_or(|error| error.as_database_error().is_some() && !is_of_the_connection(error))
    }
}

/// The revisions that documents have, where others were required.
pub(crate) struct Moved(HashMap<String, u64>);

impl Moved {
    /// Why `changes` were not made: the first of the documents that has moved.
    pub(crate) fn of(&self, changes: &Changes) -> Option<ChangeError> {
        changes.as_slice().iter().find_map(|change| {
            let required = change.required?;
            let actual = Revision::new(*self.0.get(&change.key)?);
            (required != actual).then(|| ChangeError::Moved {
                key: change.key.clone(),
                required,
                actual,
            })
        })
    }

    /// Why `append` is rejected, if it is: the first of its documents that has moved.
    pub(crate) fn rejection(&self, append: &Append) -> Option<Violation> {
        match self.of(&append.changes)? {
            ChangeError::Moved {
                key,
                required,
                actual,
            } => Some(Violation::Document {
                key,
                required,
                actual,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) | Self::InVain(error) => error.fmt(f),
            Self::Corrupt(what) => what.fmt(f),
        }
    }
}

/// The class of the SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn class(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    code.get(..2).map(str::to_owned)
}

fn is_of_the_connection(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| ends_the_connection(&code))
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(Arc::new(error))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let (error, in_vain) = match fault {
            Fault::Corrupt(what) => return Self::Corrupt(what.to_string()),
            Fault::Sql(error) => (error, false),
            Fault::InVain(error) => (error, true),
        };
        match &*error {
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::PoolTimedOut => Self::Unavailable(Box::new(error)),
            sqlx::Error::Io(_) if in_vain => Self::Unavailable(Box::new(error)),
            sqlx::Error::Io(_) => Self::Interrupted(Box::new(error)),
            other if is_of_the_connection(other) => match in_vain {
                true => Self::Unavailable(Box::new(error)),
                false => Self::Interrupted(Box::new(error)),
            },
            other => match class(other).as_deref() {
                // Serialization failures and deadlocks, too few resources.
                Some("40" | "53") => Self::Unavailable(Box::new(error)),
                _ => Self::Failed(Box::new(error)),
            },
        }
    }
}

/// What another transaction can be the reason of: serialization failure, deadlock, unique violation.
const RACES: [&str; 3] = ["40001", "40P01", "23505"];

impl From<Fault> for AppendError {
    fn from(fault: Fault) -> Self {
        let rejected = fault.sql().and_then(sqlx::Error::as_database_error);
        let race = rejected.filter(|error| RACES.contains(&&*error.code().unwrap_or_default()));
        match race {
            Some(race) => {
                let reason = format!("{race} ({})", race.code().unwrap_or_default());
                let violations = vec![Violation::Transaction { reason }];
                Self::Conflict(Conflict { violations })
            }
            None => Self::Store(fault.into()),
        }
    }
}

/// `error` as the framework's [`StoreError`], of what does no harm when it is done twice.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    Fault::from(error).in_vain().into()
}

/// Whether a statement ahead of it in the transaction had failed, and nobody minded: the transaction takes nothing more, there
/// is none any more, or it was to be rolled back to a savepoint that was rejected.
pub(crate) fn follows_an_error(error: &dyn DatabaseError) -> bool {
    matches!(error.code().as_deref(), Some("25P02" | "25P01" | "3B001"))
}

/// Whether it may work when tried again, in whatever words it is told.
pub(crate) fn passes(error: &(dyn Error + 'static)) -> bool {
    let mut causes = successors(Some(error), |&error| error.source());
    causes.any(|error| {
        let told = error.downcast_ref::<Box<dyn DatabaseError>>();
        let code = told.and_then(|told| told.code());
        let lost = error.downcast_ref::<sqlx::Error>();
        code.is_some_and(|code| passes_with(&code))
            || lost.is_some_and(|error| {
                matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)
            })
    })
}

/// Serialization failures and deadlocks, too few resources; the connection.
fn passes_with(code: &str) -> bool {
    matches!(code.get(..2), Some("40" | "53")) || ends_the_connection(code)
}

/// Connection exceptions; the server stops, or starts; a transaction was silent.
fn ends_the_connection(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "57")) || code == "25P03"
}
