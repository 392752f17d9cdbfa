//! Errors of the database that a projection has ignored.

use std::error::Error;
use std::iter::successors;

use factum::{EventError, ProjectionError, RecordedEvent, StepError};
use sqlx::Connection as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;

use crate::BoxError;
use crate::error::{Fault, follows_an_error};

/// Whether it is looked for the event at which the projection ignores an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probes {
    None,
    BehindEach,
}

/// A statement failed, which undoes the whole transaction, and the projection went on as if it had not.
#[derive(Debug, thiserror::Error)]
#[error(
    "the projection ignored an error of the database, which undoes the whole transaction: return it, or avoid it by `on \
     conflict` or a savepoint"
)]
pub(crate) struct ErrorIgnored;

impl Probes {
    /// Whether the transaction still takes statements behind `record`.
    pub(crate) async fn behind(
        self,
        record: &RecordedEvent,
        db: &mut PgConnection,
    ) -> Result<(), StepError> {
        let at_this = || EventError::new(record.position, BoxError::from(ErrorIgnored)).into();
        // sqlx has left it where a transaction could not be begun within: nothing more may be done.
        if !db.is_in_transaction() {
            return Err(at_this());
        }
        if self == Self::None {
            return Ok(());
        }
        let sql = "savepoint probe; release savepoint probe";
        let probed = sqlx::raw_sql(sql).execute(db).await;
        probed.map(drop).map_err(|error| {
            let fault = Fault::from(error);
            match fault.is_ignored() {
                true => at_this(),
                false => StepError::Store(fault.in_vain().into()),
            }
        })
    }
}

/// Whether a statement was rejected because one ahead of it in the transaction had failed, and nobody minded.
pub(crate) fn is_ignored(error: &(dyn Error + 'static)) -> bool {
    let mut causes = successors(Some(error), |&error| error.source());
    causes.any(|error| {
        if let Some(ProjectionError::Handler(error)) = error.downcast_ref() {
            // It stands for its cause, and is not one itself.
            if error.is::<ErrorIgnored>() {
                return true;
            }
        }
        let rejected = error.downcast_ref::<Box<dyn DatabaseError>>();
        rejected.is_some_and(|error| follows_an_error(&**error))
    })
}
