//! [`SqliteReadModel`]: runs a projection into its tables.

use std::fmt;
use std::sync::Arc;

use sqlx::SqliteConnection;

use crate::connection::Connection;
use crate::error::store_error;
use crate::tables::{self, Tables};
use crate::{SqliteProjectSet, SqliteProjection, SqliteStore};
use async_trait::async_trait;
use factum::document::{Changes, Revision};
use factum::projections::panicked;
use factum::{
    EventSet as _, EventsOf, Projection, ProjectionError, Query, ReadModel, Step, StepError,
    StoreError,
};

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
            Ok(panic) => Err(ProjectionError::from(panicked(&*panic)).into()),
            Err(error) => Err(StoreError::Interrupted(error.into()).into()),
        })
    }

    /// Does `work` as a whole or not at all.
    async fn transact(&self, build: u64, work: Work<'_>) -> Result<Revision, StepError> {
        let mut turn = self.store.turn().take().await;
        let connection = turn.as_mut().ok_or(StoreError::Closed)?;
        let done = self.try_transact(connection, build, work).await;
        if done.is_err() {
            connection.end_after_failure().await;
        }
        done
    }

    async fn try_transact(
        &self,
        connection: &mut Connection,
        build: u64,
        work: Work<'_>,
    ) -> Result<Revision, StepError> {
        connection.begin().await.map_err(StoreError::from)?;
        let db = &mut connection.sqlite;
        let revision = match work {
            Work::Prepare => {
                self.make_ready(db, build).await?;
                Revision::ABSENT
            }
            Work::Project(step) => {
                // First, since it says whether another instance has taken over.
                let revision = crate::document::change(db, &step.changes).await?;
                let mut tables = Tables::new(db, build);
                for record in step.events {
                    self.projection.take(record, &mut tables).await?;
                }
                revision
            }
            Work::Serve(changes) => {
                let revision = crate::document::change(db, &changes).await?;
                tables::show(db, self, build).await?;
                revision
            }
            Work::Discard => {
                tables::drop(db, self, build).await?;
                Revision::ABSENT
            }
        };
        connection.commit().await.map_err(StoreError::from)?;
        Ok(revision)
    }

    async fn make_ready(&self, db: &mut SqliteConnection, build: u64) -> Result<(), StepError> {
        tables::is_wanted(db, self, build).await?;
        let names = tables::names_of(db, self, build).await?;
        let mut tables = Tables::new(&mut *db, build);
        let created = self.projection.create(&mut tables).await;
        let filled_in = tables.into_names();
        if let Err(error) = created {
            // Perhaps since a table that is not its own is another than it wants.
            if !names.is_known() {
                names.check(&filled_in)?;
            }
            return Err(store_error(error).into());
        }
        let made = tables::made(db, &filled_in, build).await?;
        names.check(&made)?;
        tables::note(db, self, build, &made).await
    }
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
