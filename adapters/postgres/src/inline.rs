//! [`Inline`]: appends and the effects of inline projections in one transaction; [`factum_sql::inline`] applies the
//! events.

use std::iter::successors;
use std::sync::Arc;

use factum_core::append::{Append, AppendError, Appended};
use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_sql::BoxedProjection;
use factum_sql::inline::{InlineError, InlineProjections};
use sqlx::postgres::PgConnection;

use crate::database_append::{self, BatchOutcome};
use crate::error::BackendError;
use crate::sql_transaction::{IgnoredError, PostgresTransaction};
use crate::stream_ids::StreamIds;
use crate::transaction::{begin_append, commit, roll_back, roll_back_after_ignored_error};

pub struct Inline {
    projections: InlineProjections,
    /// The stream ids that its transactions have read.
    stream_ids: StreamIds,
}

/// Appends were not stored.
pub enum BatchFailure {
    Backend(BackendError),
    /// An inline projection rejected an append.
    Rejected {
        error: AppendError,
        /// The index of the append, if it is known.
        index: Option<usize>,
    },
}

impl From<BackendError> for BatchFailure {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl BatchFailure {
    fn rejected(error: impl Into<AppendError>) -> Self {
        Self::Rejected {
            error: error.into(),
            index: None,
        }
    }

    /// Returns whether a projection has ignored a database error.
    fn is_ignored_error(&self) -> bool {
        let error = match self {
            Self::Backend(error) => return error.follows_ignored_error(),
            Self::Rejected { error, .. } => error as &(dyn std::error::Error + 'static),
        };
        let mut causes = successors(Some(error), |&error| error.source());
        causes.any(<dyn std::error::Error>::is::<IgnoredError>)
    }
}

impl Inline {
    pub fn new(projections: &[Arc<dyn BoxedProjection>]) -> Result<Self, StoreError> {
        Ok(Self {
            projections: InlineProjections::new(projections)?,
            stream_ids: StreamIds::new(),
        })
    }

    /// Returns the names of the projections.
    pub fn names(&self) -> Vec<String> {
        self.projections.names()
    }

    pub fn is_empty(&self) -> bool {
        self.projections.is_empty()
    }

    /// Stores `appends`, and applies their events to the inline projections.
    ///
    /// If it fails before the commit, nothing was executed.
    pub async fn store(
        &self,
        connection: &mut PgConnection,
        appends: &[&Append],
    ) -> Result<BatchOutcome, BatchFailure> {
        let begun = begin_append(connection).await;
        let head = begun.map_err(BackendError::into_not_executed)?;
        let failure = match self.store_in_transaction(connection, head, appends).await {
            Ok(outcome) => match commit(connection).await {
                Ok(()) => return Ok(outcome),
                Err(error) => self.commit_failure(error),
            },
            Err(failure) => {
                let rolled_back = match failure.is_ignored_error() {
                    true => roll_back_after_ignored_error(connection).await,
                    false => roll_back(connection).await,
                };
                rolled_back.map_err(BackendError::into_not_executed)?;
                failure
            }
        };
        self.stream_ids.clear();
        Err(failure)
    }

    async fn store_in_transaction(
        &self,
        connection: &mut PgConnection,
        head: Position,
        appends: &[&Append],
    ) -> Result<BatchOutcome, BatchFailure> {
        let mut db = PostgresTransaction::new(connection, &self.stream_ids);
        let begun = self.projections.begin(&mut db, head).await;
        let builds = begun.map_err(BatchFailure::rejected)?;
        let stored = database_append::store(connection, appends).await;
        let outcome = stored.map_err(BackendError::into_not_executed)?;
        let results = appends.iter().copied().zip(&outcome.results);
        let appended = results.filter_map(|(append, result)| Some((append, result.as_ref().ok()?)));
        let mut db = PostgresTransaction::new(connection, &self.stream_ids);
        let finished = self.projections.finish(&mut db, builds, appended);
        match finished.await {
            Ok(()) => Ok(outcome),
            Err(InlineError { error, position }) => Err(BatchFailure::Rejected {
                index: position.and_then(|position| append_with(position, &outcome)),
                error,
            }),
        }
    }

    /// A commit can only be rejected by deferred constraints and triggers of the projections' tables.
    fn commit_failure(&self, error: BackendError) -> BatchFailure {
        match error.is_rejected_at_commit() {
            true => BatchFailure::rejected(AppendError::Projection {
                name: self.names().join(", "),
                error: StoreError::from(error).into(),
            }),
            false => error.into(),
        }
    }
}

/// Returns the index of the append that has stored the event at `position`.
fn append_with(position: Position, outcome: &BatchOutcome) -> Option<usize> {
    let has_event = |appended: &Appended| {
        let (last, count) = (appended.position.get(), appended.count);
        position.get() <= last && last < position.get() + count
    };
    let mut results = outcome.results.iter();
    results.position(|result| matches!(result, Ok(it) if !it.repeated && has_event(it)))
}
