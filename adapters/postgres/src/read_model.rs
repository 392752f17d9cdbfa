//! [`PostgresReadModel`]: runs a projection into its tables.

use std::fmt;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use factum::document::Revision;
use factum::projections::panicked;
use factum::{
    EventError, EventSet as _, Projection, ProjectionError, Query, ReadModel, Recorded,
    RecordedEvent, Step, StepError, StoreError,
};
use futures_util::FutureExt as _;

use sqlx::postgres::PgConnection;

use crate::error::{Fault, store_error};
use crate::tables::{self, Tables};
use crate::{PostgresProjection, PostgresStore};

/// Whoever falls silent inside the transaction must not keep its locks, and others from taking over.
const BEGIN: &str = "begin; set local idle_in_transaction_session_timeout = '5s'";

/// A projection together with the database that holds its tables; give it to
/// [`Projections`](factum::Projections).
///
/// Several processes may run the same projection on one database: each event still has its effect once.
pub struct PostgresReadModel<P> {
    store: PostgresStore,
    projection: P,
}

impl PostgresStore {
    /// The read model of `projection`, in tables of the store's schema.
    #[must_use]
    pub fn read_model<P: PostgresProjection>(&self, projection: P) -> PostgresReadModel<P> {
        PostgresReadModel {
            store: self.clone(),
            projection,
        }
    }
}

impl<P: Projection> fmt::Debug for PostgresReadModel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresReadModel")
            .field("name", &P::NAME)
            .finish_non_exhaustive()
    }
}

/// What is done to the tables of a build in one transaction.
enum Work<'s> {
    Prepare,
    Project(&'s Step<'s>),
    Serve(&'s Step<'s>),
    Discard,
}

impl<P: PostgresProjection> PostgresReadModel<P> {
    /// Does `work` as a whole or not at all.
    async fn transact(&self, build: u64, work: Work<'_>) -> Result<Revision, StepError> {
        let begun = self.store.pool().begin_with(BEGIN).await;
        let mut transaction = begun.map_err(store_error)?;
        let db = &mut *transaction;
        let revision = match work {
            Work::Prepare => {
                self.prepare_alone(db, build).await?;
                Revision::ABSENT
            }
            Work::Project(step) => {
                // First, since it says whether another instance has taken over.
                let revision = crate::document::change(db, &step.changes).await?;
                let mut tables = Tables::new(db, build);
                for record in step.events {
                    self.take(record, &mut tables).await?;
                }
                revision
            }
            Work::Serve(step) => {
                let revision = crate::document::change(db, &step.changes).await?;
                tables::show(db, self, build).await?;
                revision
            }
            Work::Discard => {
                alone::<P>(db).await?;
                tables::drop(db, self, build).await?;
                Revision::ABSENT
            }
        };
        let committed = transaction.commit().await;
        committed.map_err(|error| StoreError::from(Fault::from(error)))?;
        Ok(revision)
    }

    async fn prepare_alone(&self, db: &mut PgConnection, build: u64) -> Result<(), StepError> {
        alone::<P>(db).await?;
        tables::is_wanted(db, self, build).await?;
        let mut tables = Tables::new(&mut *db, build);
        self.projection
            .create(&mut tables)
            .await
            .map_err(store_error)?;
        let made = tables.made().await?;
        tables::note(db, self, build, &made).await
    }

    async fn take(&self, record: &RecordedEvent, tables: &mut Tables<'_>) -> Result<(), StepError> {
        for event in record.decode_all::<P::Events>()? {
            let record = record.clone();
            self.take_one(&Recorded { event, record }, tables).await?;
        }
        Ok(())
    }

    async fn take_one(
        &self,
        event: &Recorded<P::Events>,
        tables: &mut Tables<'_>,
    ) -> Result<(), StepError> {
        let record = &event.record;
        let projected = AssertUnwindSafe(self.projection.project(event, tables));
        let error = match projected.catch_unwind().await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(panic) => panicked(&*panic).into(),
        };
        // What the server or another transaction is the reason of is no fault of the event.
        match error.downcast::<sqlx::Error>() {
            Ok(error) => Err(match store_error(*error) {
                passes @ StoreError::Unavailable(_) => passes.into(),
                StoreError::Failed(error) => EventError::new(record.position, error).into(),
                other => EventError::new(record.position, other).into(),
            }),
            Err(error) => Err(EventError::new(record.position, error).into()),
        }
    }
}

/// Of several processes that make or drop tables together, one does at a time, up to the end of its transaction.
async fn alone<P: Projection>(db: &mut PgConnection) -> Result<(), StoreError> {
    let sql =
        "select pg_advisory_xact_lock(hashtextextended(current_schema() || $1, 7305803126914704))";
    let locked = sqlx::query(sql).bind(P::NAME).execute(db).await;
    locked.map(drop).map_err(store_error)
}

#[async_trait]
impl<P: PostgresProjection> ReadModel for PostgresReadModel<P> {
    fn name(&self) -> &str {
        P::NAME
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn partitions(&self) -> u16 {
        P::PARTITIONS
    }

    fn query(&self) -> Query {
        Query::names(P::Events::names())
    }

    async fn prepare(&self, build: u64) -> Result<(), ProjectionError> {
        let prepared = self.transact(build, Work::Prepare).await;
        prepared.map(drop).map_err(ProjectionError::from)
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        self.transact(step.build, Work::Project(&step)).await
    }

    async fn serve(&self, step: Step<'_>) -> Result<Revision, StepError> {
        self.transact(step.build, Work::Serve(&step)).await
    }

    async fn discard(&self, build: u64) -> Result<(), ProjectionError> {
        let discarded = self.transact(build, Work::Discard).await;
        discarded.map(drop).map_err(ProjectionError::from)
    }
}
