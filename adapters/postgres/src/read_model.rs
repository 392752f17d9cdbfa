//! [`PostgresReadModel`]: runs a projection into its tables.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use factum::{
    EventSet as _, Page, Position, Projection, ProjectionError, Query, ReadModel, Recorded,
    StoreError,
};
use sqlx::postgres::PgConnection;

use crate::error::store_error;
use crate::{PostgresProjection, PostgresStore};

/// A projection together with the database that holds its tables; give it to
/// [`Projections`](factum::Projections).
///
/// Several processes may run the same projection on one database: each event still has its effect once.
pub struct PostgresReadModel<P> {
    store: PostgresStore,
    projection: P,
    /// Where the checkpoint was when this process last saw it.
    seen: AtomicU64,
}

impl PostgresStore {
    /// The read model of `projection`, in tables of the store's schema.
    #[must_use]
    pub fn read_model<P: PostgresProjection>(&self, projection: P) -> PostgresReadModel<P> {
        PostgresReadModel {
            store: self.clone(),
            projection,
            seen: AtomicU64::new(0),
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

impl<P: PostgresProjection> PostgresReadModel<P> {
    /// Empty tables, and a checkpoint at 0.
    async fn start_over(&self, db: &mut PgConnection) -> Result<(), StoreError> {
        self.projection.drop(db).await.map_err(store_error)?;
        self.projection.create(db).await.map_err(store_error)?;
        save_checkpoint::<P>(db, Position::ZERO).await
    }

    async fn take(&self, page: &Page, db: &mut PgConnection) -> Result<Position, ProjectionError> {
        let position = match load_checkpoint::<P>(db).await? {
            Some(checkpoint) if checkpoint.version != i64::from(P::VERSION) => {
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
        for record in page
            .events
            .iter()
            .filter(|record| record.position > position)
        {
            let event: Recorded<P::Events> = record.clone().try_into()?;
            self.projection.project(&event, db).await?;
        }
        if page.through() > position {
            save_checkpoint::<P>(db, page.through()).await?;
        }
        Ok(position.max(page.through()))
    }
}

#[async_trait]
impl<P: PostgresProjection> ReadModel for PostgresReadModel<P> {
    fn name(&self) -> &str {
        P::NAME
    }

    fn query(&self) -> Query {
        Query::names(P::Events::names())
    }

    async fn open(&self) -> Result<Position, ProjectionError> {
        let mut transaction = self.store.pool().begin().await.map_err(store_error)?;
        // Of several processes that open it together, one makes the tables.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended(current_schema() || $1, 7305803126914704))")
            .bind(P::NAME)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        let position = match load_checkpoint::<P>(&mut transaction).await? {
            Some(checkpoint) if checkpoint.version > i64::from(P::VERSION) => {
                return Err(superseded::<P>(checkpoint.version));
            }
            Some(checkpoint) if checkpoint.version == i64::from(P::VERSION) => {
                self.projection
                    .create(&mut transaction)
                    .await
                    .map_err(store_error)?;
                checkpoint.position
            }
            _ => {
                self.start_over(&mut transaction).await?;
                Position::ZERO
            }
        };
        transaction.commit().await.map_err(store_error)?;
        self.seen.store(position.get(), SeqCst);
        Ok(position)
    }

    async fn project(&self, page: &Page) -> Result<(), ProjectionError> {
        // Rolled back where it is dropped without a commit.
        let mut transaction = self.store.pool().begin().await.map_err(store_error)?;
        let position = self.take(page, &mut transaction).await?;
        transaction.commit().await.map_err(store_error)?;
        self.seen.store(position.get(), SeqCst);
        Ok(())
    }

    async fn reset(&self) -> Result<(), ProjectionError> {
        let mut transaction = self.store.pool().begin().await.map_err(store_error)?;
        load_checkpoint::<P>(&mut transaction).await?;
        self.start_over(&mut transaction).await?;
        transaction.commit().await.map_err(store_error)?;
        self.seen.store(0, SeqCst);
        Ok(())
    }
}

fn superseded<P: Projection>(version: i64) -> ProjectionError {
    let (name, known) = (P::NAME, P::VERSION);
    format!("the read model {name:?} is of version {version}, this code knows version {known}")
        .into()
}

/// What the table of checkpoints says of a projection.
struct Checkpoint {
    version: i64,
    position: Position,
}

/// Locks it, too: other processes that run the projection wait until the transaction ends.
async fn load_checkpoint<P: Projection>(
    db: &mut PgConnection,
) -> Result<Option<Checkpoint>, StoreError> {
    let sql = "select version, position from checkpoint where projection = $1 for update";
    let row: Option<(i64, i64)> = sqlx::query_as(sql)
        .bind(P::NAME)
        .fetch_optional(db)
        .await
        .map_err(store_error)?;
    Ok(row.map(|(version, position)| Checkpoint {
        version,
        position: Position::new(position as u64),
    }))
}

async fn save_checkpoint<P: Projection>(
    db: &mut PgConnection,
    position: Position,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/save_checkpoint.sql"))
        .bind(P::NAME)
        .bind(i64::from(P::VERSION))
        .bind(position.get() as i64)
        .execute(db)
        .await
        .map_err(store_error)?;
    Ok(())
}
