//! The measured table projection, and its statements, which the driver alone also executes.

use anyhow::Result;
use factum::Position;
use factum::prelude::*;
use factum::runtime::ReadModel;
use factum_postgres::PostgresStore;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};

use crate::domain::plain::AccountEvent;

/// Creates the table; valid for both databases.
pub const CREATE: &str = "create table if not exists {balance}
    (account text primary key, events bigint not null, amount bigint not null)";
/// Updates the row of an account; executed for each of its events.
pub const UPSERT: &str = "insert into {balance} (account, events, amount) values ($1, 1, $2)
    on conflict (account) do update
    set events = {balance}.events + 1, amount = {balance}.amount + excluded.amount";
const COUNT: &str = "select cast(sum(events) as bigint) from balance";

/// The balance of each account.
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

/// A store that supports table projections.
pub enum Tables {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Tables {
    /// Runs the projection up to position `events` and returns the number of events in the table.
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
