//! [`SqliteReadModel`]: runs a projection into its tables.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use factum::{
    EventSet as _, Page, Position, Projection, ProjectionError, Query, ReadModel, Recorded,
    StoreError,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::connection::Connection;
use crate::error::{Fault, store_error};
use crate::{SqliteProjection, SqliteStore};

/// A projection together with the file that holds its tables; give it to
/// [`Projections`](factum::Projections).
///
/// Several processes may run the same projection on one file: each event still has its effect once.
pub struct SqliteReadModel<P> {
    store: SqliteStore,
    projection: P,
    /// Where the checkpoint was when this process last saw it.
    seen: AtomicU64,
}

impl SqliteStore {
    /// The read model of `projection`, in tables of this file.
    #[must_use]
    pub fn read_model<P: SqliteProjection>(&self, projection: P) -> SqliteReadModel<P> {
        SqliteReadModel {
            store: self.clone(),
            projection,
            seen: AtomicU64::new(0),
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

impl<P: SqliteProjection> SqliteReadModel<P> {
    /// Empty tables, and a checkpoint at 0.
    async fn start_over(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        self.projection.drop(db).await?;
        self.projection.create(db).await?;
        save_checkpoint::<P>(db, Position::ZERO).await
    }

    async fn try_open(&self, connection: &mut Connection) -> Result<Position, ProjectionError> {
        connection.begin().await.map_err(StoreError::from)?;
        let db = &mut connection.sqlite;
        let position = match load_checkpoint::<P>(db).await.map_err(StoreError::from)? {
            Some(checkpoint) if checkpoint.version > P::VERSION => {
                return Err(superseded::<P>(checkpoint.version));
            }
            Some(checkpoint) if checkpoint.version == P::VERSION => {
                self.projection.create(db).await.map_err(store_error)?;
                checkpoint.position
            }
            _ => {
                self.start_over(db).await.map_err(StoreError::from)?;
                Position::ZERO
            }
        };
        connection.commit().await.map_err(StoreError::from)?;
        Ok(position)
    }

    /// Takes what is behind the checkpoint, which another process may have moved meanwhile.
    async fn try_project(
        &self,
        connection: &mut Connection,
        page: &Page,
    ) -> Result<Position, ProjectionError> {
        connection.begin().await.map_err(StoreError::from)?;
        let db = &mut connection.sqlite;
        let checkpoint = load_checkpoint::<P>(db).await.map_err(StoreError::from)?;
        let position = match checkpoint {
            Some(checkpoint) if checkpoint.version != P::VERSION => {
                return Err(superseded::<P>(checkpoint.version));
            }
            Some(checkpoint) if checkpoint.position.get() >= self.seen.load(SeqCst) => {
                checkpoint.position
            }
            // Events between the checkpoint and the page would be skipped: open it again, from there.
            _ => {
                return Err("the read model was emptied by another process"
                    .to_owned()
                    .into());
            }
        };
        if page.through() <= position {
            connection.rollback().await.map_err(StoreError::from)?;
            return Ok(position);
        }
        for record in page
            .events
            .iter()
            .filter(|record| record.position > position)
        {
            let event: Recorded<P::Events> = record.clone().try_into()?;
            self.projection.project(&event, db).await?;
        }
        let saved = save_checkpoint::<P>(db, page.through()).await;
        saved.map_err(StoreError::from)?;
        connection.commit().await.map_err(StoreError::from)?;
        Ok(page.through())
    }

    /// Remembers where the checkpoint is, or ends the transaction that failed.
    async fn settle(
        &self,
        connection: &mut Connection,
        result: Result<Position, ProjectionError>,
    ) -> Result<Position, ProjectionError> {
        match &result {
            Ok(position) => self.seen.store(position.get(), SeqCst),
            Err(_) => connection.end_after_failure().await,
        }
        result
    }
}

fn superseded<P: Projection>(version: u32) -> ProjectionError {
    let (name, known) = (P::NAME, P::VERSION);
    format!("the read model {name:?} is of version {version}, this code knows version {known}")
        .into()
}

#[async_trait]
impl<P: SqliteProjection> ReadModel for SqliteReadModel<P> {
    fn name(&self) -> &str {
        P::NAME
    }

    fn query(&self) -> Query {
        Query::names(P::Events::names())
    }

    async fn open(&self) -> Result<Position, ProjectionError> {
        let mut turn = self.store.turn().take().await;
        let connection = turn.as_mut().ok_or(StoreError::Closed)?;
        let opened = self.try_open(connection).await;
        self.settle(connection, opened).await
    }

    async fn project(&self, page: &Page) -> Result<(), ProjectionError> {
        let mut turn = self.store.turn().take().await;
        let connection = turn.as_mut().ok_or(StoreError::Closed)?;
        let projected = self.try_project(connection, page).await;
        self.settle(connection, projected).await.map(drop)
    }

    async fn reset(&self) -> Result<(), ProjectionError> {
        let mut turn = self.store.turn().take().await;
        let connection = turn.as_mut().ok_or(StoreError::Closed)?;
        let reset = async {
            connection.begin().await?;
            self.start_over(&mut connection.sqlite).await?;
            connection.commit().await?;
            Ok(Position::ZERO)
        };
        let reset = reset
            .await
            .map_err(|fault: Fault| StoreError::from(fault).into());
        self.settle(connection, reset).await.map(drop)
    }
}

/// What the table of checkpoints says of a projection.
struct Checkpoint {
    version: u32,
    position: Position,
}

async fn load_checkpoint<P: Projection>(
    db: &mut SqliteConnection,
) -> Result<Option<Checkpoint>, Fault> {
    let sql = "select version, position from factum_checkpoint where projection = ?";
    let row = sqlx::query(sql).bind(P::NAME).fetch_optional(db).await?;
    let checkpoint = |row: SqliteRow| {
        Ok::<_, sqlx::Error>(Checkpoint {
            version: row.try_get(0)?,
            position: Position::new(row.try_get::<i64, _>(1)? as u64),
        })
    };
    Ok(row.map(checkpoint).transpose()?)
}

async fn save_checkpoint<P: Projection>(
    db: &mut SqliteConnection,
    position: Position,
) -> Result<(), Fault> {
    sqlx::query(include_str!("sql/save_checkpoint.sql"))
        .bind(P::NAME)
        .bind(i64::from(P::VERSION))
        .bind(position.get() as i64)
        .execute(db)
        .await?;
    Ok(())
}
