//! [`SqlReadModel`]: a consumer that fills the tables of a projection.

use std::fmt;
use std::sync::Arc;

use factum_core::document::{DocumentStore, Revision};
use factum_core::error::StoreError;
use factum_core::personal::redact;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::record::RecordedEvent;
use factum_engine::projection::EventsOf;
use factum_runtime::consumer::{Batch, BatchError, Consumer, EventError, ReadModel, events_at};

use crate::connection::SqlTransaction;
use crate::database::{SqlDatabase, TransactionWork};
use crate::projection_set::{BoxedProjection, SqlProjectSet};
use crate::sql::Sql;
use crate::tables;

/// A projection together with the database of its tables.
///
/// Give one clone to the [runtime](factum_runtime::Runtime), and read the other. A process that only reads need not
/// give it to a runtime.
#[derive(Clone)]
pub struct SqlReadModel {
    pub(crate) database: Arc<dyn SqlDatabase>,
    pub(crate) projection: Arc<dyn BoxedProjection>,
}

impl SqlReadModel {
    /// Creates the read model of `projection`, in tables of `database`.
    #[must_use]
    pub fn new<P: SqlProjectSet<EventsOf<P>>>(
        database: Arc<dyn SqlDatabase>,
        projection: P,
    ) -> Self {
        Self {
            database,
            projection: Arc::new(projection),
        }
    }

    /// Returns the events as the projection may read them.
    ///
    /// The engine's store may have decrypted personal data. An inline projection never sees it, so the events are read
    /// again from the database itself, and redacted.
    async fn events_for_projection(
        &self,
        events: &[RecordedEvent],
    ) -> Result<Vec<RecordedEvent>, BatchError> {
        if !self.database.is_inline(self.projection.name()) {
            return Ok(events.to_vec());
        }
        let positions: Vec<Position> = events.iter().map(|event| event.position).collect();
        let stored = events_at(&*self.database, &positions).await?;
        let mut redacted = Vec::with_capacity(events.len());
        for (position, event) in positions.into_iter().zip(stored) {
            redacted.push(event.ok_or_else(|| {
                StoreError::Corrupt(format!("no event at position {position} in the database"))
            })?);
        }
        redact(&mut redacted)?;
        Ok(redacted)
    }

    async fn transaction(&self, work: TransactionWork) -> Result<Revision, BatchError> {
        self.database.transaction(work).await
    }
}

impl fmt::Debug for SqlReadModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlReadModel")
            .field("name", &self.projection.name())
            .finish_non_exhaustive()
    }
}

/// Applies `record` to the tables of `build`.
pub(crate) async fn project(
    projection: &dyn BoxedProjection,
    build: u64,
    record: &RecordedEvent,
    db: &mut dyn SqlTransaction,
) -> Result<(), BatchError> {
    projection.project(record, &mut Sql::new(db, build)).await?;
    let Err(error) = db.check().await else {
        return Ok(());
    };
    Err(match db.store_error(error.into()) {
        Ok(error) => error.into(),
        Err(error) => EventError::handler(record.position, error).into(),
    })
}

impl Consumer for SqlReadModel {
    fn name(&self) -> &str {
        self.projection.name()
    }

    fn query(&self) -> Query {
        Query::event_types(self.projection.event_types())
    }

    fn partitions(&self) -> u16 {
        self.projection.partitions()
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let projection = self.projection.clone();
        let events = self.events_for_projection(batch.events).await?;
        let (build, changes) = (batch.build, batch.changes);
        let work: TransactionWork = Box::new(move |db| {
            Box::pin(async move {
                // First, because it fails if another node has taken over.
                let revision = db.change_documents(&changes).await?;
                for record in &events {
                    project(&*projection, build, record, db).await?;
                }
                Ok(revision)
            })
        });
        self.transaction(work).await
    }
}

impl ReadModel for SqlReadModel {
    fn version(&self) -> u32 {
        self.projection.version()
    }

    fn shared_documents(&self) -> Option<Arc<dyn DocumentStore>> {
        Some(self.database.clone())
    }

    async fn prepare(&self, build: u64) -> Result<(), BatchError> {
        let projection = self.projection.clone();
        let work: TransactionWork = Box::new(move |db| {
            Box::pin(async move {
                tables::create(&*projection, build, db).await?;
                Ok(Revision::ABSENT)
            })
        });
        self.transaction(work).await.map(drop)
    }

    async fn promote(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let name = self.projection.name();
        let (build, changes) = (batch.build, batch.changes);
        let work: TransactionWork = Box::new(move |db| {
            Box::pin(async move {
                let revision = db.change_documents(&changes).await?;
                tables::promote(name, build, db).await?;
                Ok(revision)
            })
        });
        self.transaction(work).await
    }

    async fn drop_build(&self, build: u64) -> Result<(), BatchError> {
        let name = self.projection.name();
        let work: TransactionWork = Box::new(move |db| {
            Box::pin(async move {
                tables::drop(name, build, db).await?;
                Ok(Revision::ABSENT)
            })
        });
        self.transaction(work).await.map(drop)
    }
}
