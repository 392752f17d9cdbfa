//! [`SqliteReadModel`]: runs a projection into its tables.

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

use crate::error::{is_of_the_file, store_error};
use crate::tables::{self, Tables};
use crate::writing::Writing;
use crate::{SqliteProjection, SqliteStore};

/// A projection together with the file that holds its tables; give it to
/// [`Projections`](factum::Projections).
///
/// Several processes may run the same projection on one file: each event still has its effect once.
pub struct SqliteReadModel<P> {
    store: SqliteStore,
    projection: P,
}

impl SqliteStore {
    /// The read model of `projection`, in tables of this file.
    #[must_use]
    pub fn read_model<P: SqliteProjection>(&self, projection: P) -> SqliteReadModel<P> {
        SqliteReadModel {
            store: self.clone(),
            projection,
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
    Serve(&'s Step<'s>),
    Discard,
}

impl<P: SqliteProjection> SqliteReadModel<P> {
    /// Does `work` as a whole or not at all.
    async fn transact(&self, build: u64, work: Work<'_>) -> Result<Revision, StepError> {
        let mut turn = self.store.turn().take().await;
        let writing = turn.as_mut().ok_or(StoreError::Closed)?;
        let done = self.try_transact(writing, build, work).await;
        match &done {
            Ok(_) => {}
            Err(StepError::Store(StoreError::Failed(_))) => writing.reopen(),
            Err(_) => writing.roll_back().await,
        }
        done
    }

    async fn try_transact(
        &self,
        writing: &mut Writing,
        build: u64,
        work: Work<'_>,
    ) -> Result<Revision, StepError> {
        let pair = writing.begin_awaited().await.map_err(StoreError::from)?;
        let db = pair.lend().map_err(StoreError::from)?;
        let revision = match work {
            Work::Prepare => {
                tables::is_wanted(db, self, build).await?;
                let mut tables = Tables::new(&mut *db, build);
                let created = self.projection.create(&mut tables).await;
                created.map_err(store_error)?;
                let made = tables.made().await?;
                tables::note(db, self, build, &made).await?;
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
                tables::drop(db, self, build).await?;
                Revision::ABSENT
            }
        };
        pair.commit().await.map_err(StoreError::from)?;
        Ok(revision)
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
        // What the file is the reason of is no fault of the event.
        match error.downcast::<sqlx::Error>() {
            Ok(error) if is_of_the_file(&error) => Err(store_error(*error).into()),
            Ok(error) => {
                Err(EventError::new(record.position, ProjectionError::Handler(error)).into())
            }
            Err(error) => Err(EventError::new(record.position, error).into()),
        }
    }
}

#[async_trait]
impl<P: SqliteProjection> ReadModel for SqliteReadModel<P> {
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
