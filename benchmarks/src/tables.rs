//! The projection into a table that is measured, and its statements, which are also those of the driver alone.

use anyhow::Result;
use factum::Position;
use factum::prelude::*;
use factum::runtime::ReadModel;
use factum_postgres::PostgresStore;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};

use crate::domain::plain::AccountEvent;

/// Understood by both databases.
pub const CREATE: &str = "create table if not exists {balance}
    (account text primary key, events bigint not null, amount bigint not null)";
/// One row for each account, changed by each of its events.
pub const UPSERT: &str = "insert into {balance} (account, events, amount) values ($1, 1, $2)
    on conflict (account) do update
    set events = {balance}.events + 1, amount = {balance}.amount + excluded.amount";
const COUNT: &str = "select cast(sum(events) as bigint) from balance";

/// What each account holds.
#[derive(Projection)]
#[projection(name = "balances", events = AccountEvent)]
pub struct Balances;

impl SqlProjection for Balances {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(CREATE).await
    }
}

impl SqlProject<AccountEvent> for Balances {
    async fn project(
        &self,
        event: &Recorded<AccountEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let AccountEvent::Deposited { amount, .. } = &event.event;
        let upsert = db.query(UPSERT).bind(event.record.stream.key());
        upsert.bind(*amount as i64).execute().await?;
        Ok(())
    }
}

/// A store with tables beside its events.
pub enum Tables {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Tables {
    /// How many events the table has seen, once the projection has come to `events`.
    pub async fn catch_up(&self, engine: &Engine, events: usize) -> Result<usize> {
        let seen: i64 = match self {
            Self::Sqlite(store) => {
                run(engine, store.read_model(Balances), events).await?;
                store.query(COUNT).fetch_one().await?
            }
            Self::Postgres(store) => {
                run(engine, store.read_model(Balances), events).await?;
                store.query(COUNT).fetch_one().await?
            }
        };
        Ok(seen as usize)
    }
}

async fn run(engine: &Engine, model: impl ReadModel, events: usize) -> Result<()> {
    let runtime = Runtime::builder(engine).projection(model).start().await?;
    runtime.wait_for(Position::new(events as u64)).await?;
    Ok(())
}
