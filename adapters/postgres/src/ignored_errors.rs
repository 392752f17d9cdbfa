//! Database errors that a projection has ignored.

use std::error::Error;
use std::iter::successors;

use factum::{EventError, ProjectionError, RecordedEvent, StepError};
use sqlx::Connection as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;

use crate::BoxError;
use crate::error::{BackendError, follows_failed_statement};

/// The search for the event at which a projection ignores an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorProbe {
    Off,
    /// Sends a statement after each event, which fails if an error was ignored.
    AfterEachEvent,
}

/// A projection ignored the error of a statement, which makes the server undo the whole transaction.
#[derive(Debug, thiserror::Error)]
#[error(
    "the projection ignored an error of the database, which undoes the whole transaction: return it, or avoid it with \
     `on conflict` or a savepoint"
)]
pub struct IgnoredError;

impl ErrorProbe {
    /// Checks that the transaction still accepts statements after `record` was projected.
    pub async fn check(
        self,
        record: &RecordedEvent,
        db: &mut PgConnection,
    ) -> Result<(), StepError> {
        let ignored_here = || EventError::new(record.position, BoxError::from(IgnoredError)).into();
        // A failed `begin` has lowered the transaction counter of sqlx to zero: no statement may follow.
        if !db.is_in_transaction() {
            return Err(ignored_here());
        }
        if self == Self::Off {
            return Ok(());
        }
        let sql = "savepoint probe; release savepoint probe";
        let probed = sqlx::raw_sql(sql).execute(db).await;
        probed.map(drop).map_err(|error| {
            let error = BackendError::from(error);
            match error.follows_ignored_error() {
                true => ignored_here(),
                false => StepError::Store(error.into_not_executed().into()),
            }
        })
    }
}

/// Returns whether `error` is, or was caused by, a database error that a projection had ignored.
pub fn is_ignored_error(error: &(dyn Error + 'static)) -> bool {
    let mut causes = successors(Some(error), |&error| error.source());
    causes.any(|error| {
        // `ProjectionError::Handler` is transparent: the handler's error is not among its sources.
        if let Some(ProjectionError::Handler(error)) = error.downcast_ref()
            && error.is::<IgnoredError>()
        {
            return true;
        }
        let rejected = error.downcast_ref::<Box<dyn DatabaseError>>();
        rejected.is_some_and(|error| follows_failed_statement(&**error))
    })
}
