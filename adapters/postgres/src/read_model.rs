//! [`PostgresReadModel`]: runs a projection into its tables.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use factum::document::Revision;
use factum::{
    EventSet as _, EventsOf, Projection, ProjectionError, Query, ReadModel, Step, StepError,
    StoreError,
};
use futures_util::FutureExt as _;
use sqlx::postgres::PgConnection;

use crate::error::{BackendError, store_error};
use crate::ignored_errors::{ErrorProbe, is_ignored_error};
use crate::tables::{self, Tables};
use crate::transaction::BEGIN;
use crate::{PostgresProjectSet, PostgresProjection, PostgresStore};

/// Behind an error that was ignored a commit is a rollback, and no error: any other statement is one. What is chained is
/// rolled back with the end of sqlx's transaction, on the way back to the pool.
const COMMIT: &str = "select 1; commit and chain";

/// A projection together with the database that holds its tables; give a clone to
/// [`Projections`](factum::Projections), and read the other, or have it in a process that only reads.
///
/// Several processes may run the same projection on one database: each event still has its effect once.
pub struct PostgresReadModel<P> {
    pub(crate) store: PostgresStore,
    projection: Arc<P>,
}

impl PostgresStore {
    /// The read model of `projection`, in tables of the store's schema.
    #[must_use]
    pub fn read_model<P: PostgresProjection>(&self, projection: P) -> PostgresReadModel<P> {
        PostgresReadModel {
            store: self.clone(),
            projection: Arc::new(projection),
        }
    }
}

impl<P> Clone for PostgresReadModel<P> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            projection: self.projection.clone(),
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
    Project(&'s Step<'s>, ErrorProbe),
    Serve(&'s Step<'s>),
    Discard,
}

impl<P: PostgresProjectSet<EventsOf<P>>> PostgresReadModel<P> {
    /// Takes the events of `step`, or says which of them it is that cannot be taken.
    async fn take_all(&self, step: &Step<'_>) -> Result<Revision, StepError> {
        let work = Work::Project(step, ErrorProbe::Off);
        match self.transact(step.build, work).await {
            Err(StepError::Store(error)) if is_ignored_error(&error) => {
                let again = Work::Project(step, ErrorProbe::AfterEachEvent);
                self.transact(step.build, again).await
            }
            taken => taken,
        }
    }

    /// Does `work` as a whole or not at all.
    async fn transact(&self, build: u64, work: Work<'_>) -> Result<Revision, StepError> {
        let begun = self.store.pool().begin_with(BEGIN).await;
        let mut transaction = begun.map_err(store_error)?;
        let db = &mut *transaction;
        let revision = match work {
            Work::Prepare => {
                make_ready(db, &*self.projection, build).await?;
                Revision::ABSENT
            }
            Work::Project(step, probes) => {
                // First, since it says whether another instance has taken over.
                let revision = crate::document::change(db, &step.changes).await?;
                let mut tables = Tables::new(db, build);
                for record in step.events {
                    self.projection.take(record, &mut tables).await?;
                    probes.check(record, &mut tables).await?;
                }
                revision
            }
            Work::Serve(step) => {
                let revision = crate::document::change(db, &step.changes).await?;
                tables::show(db, P::NAME, build).await?;
                revision
            }
            Work::Discard => {
                alone(db, P::NAME).await?;
                tables::drop(db, P::NAME, build).await?;
                Revision::ABSENT
            }
        };
        let committed = sqlx::raw_sql(COMMIT).execute(db).await;
        committed.map_err(|error| StoreError::from(BackendError::from(error)))?;
        Ok(revision)
    }
}

/// Creates the tables of `build` that are missing, and notes them down.
pub(crate) async fn make_ready<P: PostgresProjection>(
    db: &mut PgConnection,
    projection: &P,
    build: u64,
) -> Result<(), StepError> {
    alone(db, P::NAME).await?;
    // No projection has this name.
    alone(db, "/").await?;
    tables::is_wanted(db, P::NAME, build).await?;
    let names = tables::names_of(db, P::NAME, build).await?;
    let mut tables = Tables::new(&mut *db, build);
    let created = AssertUnwindSafe(projection.create(&mut tables));
    let created = created.catch_unwind().await;
    let filled_in = tables.into_names();
    let created = created.map(|created| created.map_err(store_error));
    names.created(created, &filled_in)?;
    let made = tables::made(db, &filled_in, build).await?;
    names.check(&made)?;
    tables::note(db, P::NAME, build, &made).await
}

/// Of several processes that make or drop tables of `name` together, one does at a time, up to the end of its
/// transaction.
async fn alone(db: &mut PgConnection, name: &str) -> Result<(), StoreError> {
    let sql =
        "select pg_advisory_xact_lock(hashtextextended(current_schema() || $1, 7305803126914704))";
    let locked = sqlx::query(sql).bind(name).execute(db).await;
    locked.map(drop).map_err(store_error)
}

#[async_trait]
impl<P: PostgresProjectSet<EventsOf<P>>> ReadModel for PostgresReadModel<P> {
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
        self.take_all(&step).await
    }

    async fn serve(&self, step: Step<'_>) -> Result<Revision, StepError> {
        self.transact(step.build, Work::Serve(&step)).await
    }

    async fn discard(&self, build: u64) -> Result<(), ProjectionError> {
        let discarded = self.transact(build, Work::Discard).await;
        discarded.map(drop).map_err(ProjectionError::from)
    }
}
