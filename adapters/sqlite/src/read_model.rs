//! [`SqliteReadModel`]: runs a projection into its tables.

use std::fmt;

use async_trait::async_trait;
use factum::{
    EventSet as _, Page, Position, Projection, ProjectionError, Query, ReadModel, Recorded,
    StoreError,
};
use sqlx::{Row as _, SqliteConnection};

use crate::connection::Connection;
use crate::error::Fault;
use crate::{SqliteProjection, SqliteStore};

/// A projection together with the file that holds its tables; give it to
/// [`Projections`](factum::Projections).
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

impl<P: SqliteProjection> SqliteReadModel<P> {
    /// Empty tables, and a checkpoint at 0.
    async fn start_over(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        self.projection.drop(db).await?;
        self.projection.create(db).await?;
        save_checkpoint::<P>(db, Position::ZERO).await
    }
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
        let opened = async {
            connection.begin().await?;
            let checkpoint = load_checkpoint::<P>(&mut connection.sqlite).await?;
            let position = match checkpoint {
                Some(position) => {
                    self.projection.create(&mut connection.sqlite).await?;
                    position
                }
                None => {
                    self.start_over(&mut connection.sqlite).await?;
                    Position::ZERO
                }
            };
            connection.commit().await?;
            Ok(position)
        };
        let opened = opened.await;
        settle(connection, opened).await
    }

    async fn project(&self, page: &Page) -> Result<(), ProjectionError> {
        let mut turn = self.store.turn().take().await;
        let connection = turn.as_mut().ok_or(StoreError::Closed)?;
        let projected = async {
            connection.begin().await.map_err(StoreError::from)?;
            for record in &page.events {
                let event: Recorded<P::Events> = record.clone().try_into()?;
                self.projection
                    .project(&event, &mut connection.sqlite)
                    .await?;
            }
            save_checkpoint::<P>(&mut connection.sqlite, page.through())
                .await
                .map_err(StoreError::from)?;
            connection.commit().await.map_err(StoreError::from)?;
            Ok::<_, ProjectionError>(())
        };
        let projected = projected.await;
        if projected.is_err() {
            connection.end_after_failure().await;
        }
        projected
    }

    async fn reset(&self) -> Result<(), ProjectionError> {
        let mut turn = self.store.turn().take().await;
        let connection = turn.as_mut().ok_or(StoreError::Closed)?;
        let reset = async {
            connection.begin().await?;
            self.start_over(&mut connection.sqlite).await?;
            connection.commit().await
        };
        let reset = reset.await;
        settle(connection, reset).await
    }
}

async fn settle<T>(
    connection: &mut Connection,
    result: Result<T, Fault>,
) -> Result<T, ProjectionError> {
    match result {
        Ok(value) => Ok(value),
        Err(fault) => {
            connection.end_after_failure().await;
            Err(StoreError::from(fault).into())
        }
    }
}

/// `None`: there is none, or that of another version.
async fn load_checkpoint<P: Projection>(
    db: &mut SqliteConnection,
) -> Result<Option<Position>, Fault> {
    let sql = "select position from factum_checkpoint where projection = ? and version = ?";
    let row = sqlx::query(sql)
        .bind(P::NAME)
        .bind(i64::from(P::VERSION))
        .fetch_optional(db)
        .await?;
    let position: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(position.map(|position| Position::new(position as u64)))
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
