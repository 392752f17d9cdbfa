//! [`SqliteReadModel`]: runs a projection into its tables.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use factum::document::{Changes, Revision};
use factum::error::panic_message;
use factum::{
    EventSet as _, EventsOf, Projection, ProjectionError, Query, ReadModel, Step, StepError,
    StoreError,
};
use futures_util::FutureExt as _;

use crate::document::change;
use crate::error::store_error;
use crate::pair::Pair;
use crate::tables::{self, Tables};
use crate::write_connection::WriteConnection;
use crate::{SqliteProjectSet, SqliteProjection, SqliteStore};

/// A projection together with the file that holds its tables; give a clone to
/// [`Projections`](factum::Projections), and read the other, or have it in a process that only reads.
///
/// Several processes may run the same projection on one file: each event still has its effect once.
pub struct SqliteReadModel<P> {
    pub(crate) store: SqliteStore,
    projection: Arc<P>,
}

impl SqliteStore {
    /// The read model of `projection`, in tables of this file.
    #[must_use]
    pub fn read_model<P: SqliteProjection>(&self, projection: P) -> SqliteReadModel<P> {
        SqliteReadModel {
            store: self.clone(),
            projection: Arc::new(projection),
        }
    }
}

impl<P> Clone for SqliteReadModel<P> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            projection: self.projection.clone(),
        }
    }
}

impl<P: Projection> fmt::Debug for SqliteReadModel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteReadModel")
            .field("name", &P::NAME)
            .finish_non_exhaustive()
    }
}

/// What is done to the tables of a build in one transaction.
enum Work<'s> {
    Prepare,
    Project(&'s Step<'s>),
    Serve(Changes),
    Discard,
}

impl<P: SqliteProjectSet<EventsOf<P>>> SqliteReadModel<P> {
    /// The same in a task of its own: a supervisor may be dropped on the way, which would leave the transaction open, and
    /// with it the file locked for everybody else.
    async fn transact_to_the_end(
        &self,
        build: u64,
        work: Work<'static>,
    ) -> Result<Revision, StepError> {
        let model = self.clone();
        let done = tokio::spawn(async move { model.transact(build, work).await }).await;
        done.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => Err(ProjectionError::from(panic_message(&*panic)).into()),
            Err(error) => Err(StoreError::Interrupted(error.into()).into()),
        })
    }

    /// Does `work` as a whole or not at all.
    async fn transact(&self, build: u64, work: Work<'_>) -> Result<Revision, StepError> {
        let mut turn = self.store.write_lock().lock().await;
        let writing = turn.as_mut().ok_or(StoreError::Closed)?;
        let done = self.try_transact(writing, build, work).await;
        match &done {
            Ok(_) => {}
            Err(StepError::Store(StoreError::Failed(_))) => writing.discard(),
            Err(_) => writing.roll_back().await,
        }
        done
    }

    async fn try_transact(
        &self,
        writing: &mut WriteConnection,
        build: u64,
        work: Work<'_>,
    ) -> Result<Revision, StepError> {
        let pair = writing.begin_async().await?;
        let revision = match work {
            Work::Prepare => {
                tables::is_wanted(pair.rusqlite().await?, P::NAME, build)?;
                make_ready(&*self.projection, pair, build).await?;
                Revision::ABSENT
            }
            Work::Project(step) => {
                // First, since it says whether another instance has taken over.
                let revision = change(pair.rusqlite().await?, &step.changes)??;
                let mut tables = Tables::new(pair.lend()?, build);
                for record in step.events {
                    self.projection.take(record, &mut tables).await?;
                }
                revision
            }
            Work::Serve(changes) => {
                let db = pair.rusqlite().await?;
                let revision = change(db, &changes)??;
                tables::show(db, P::NAME, build)?;
                revision
            }
            Work::Discard => {
                tables::drop(pair.rusqlite().await?, P::NAME, build)?;
                Revision::ABSENT
            }
        };
        pair.commit().await?;
        Ok(revision)
    }
}

/// Creates the tables of `build` that are missing, and notes them down.
pub(crate) async fn make_ready<P: SqliteProjection>(
    projection: &P,
    pair: &mut Pair,
    build: u64,
) -> Result<(), StepError> {
    let names = tables::names_of(pair.rusqlite().await?, P::NAME, build)?;
    let mut tables = Tables::new(pair.lend()?, build);
    let created = AssertUnwindSafe(projection.create(&mut tables));
    let created = created.catch_unwind().await;
    let filled_in = tables.into_names();
    let created = created.map(|created| created.map_err(store_error));
    names.created(created, &filled_in)?;
    let db = pair.rusqlite().await?;
    let made = tables::made(db, &filled_in, build)?;
    names.check(&made)?;
    tables::note(db, P::NAME, build, &made)
}

#[async_trait]
impl<P: SqliteProjectSet<EventsOf<P>>> ReadModel for SqliteReadModel<P> {
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
        let prepared = self.transact_to_the_end(build, Work::Prepare).await;
        prepared.map(drop).map_err(ProjectionError::from)
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        self.transact(step.build, Work::Project(&step)).await
    }

    async fn serve(&self, step: Step<'_>) -> Result<Revision, StepError> {
        self.transact_to_the_end(step.build, Work::Serve(step.changes))
            .await
    }

    async fn discard(&self, build: u64) -> Result<(), ProjectionError> {
        let discarded = self.transact_to_the_end(build, Work::Discard).await;
        discarded.map(drop).map_err(ProjectionError::from)
    }
}
