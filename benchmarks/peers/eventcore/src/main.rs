//! Measures `eventcore` in memory and on PostgreSQL.

mod bank;
mod command;
mod projection;

use std::sync::Arc;

use bank::{EventcoreBank, Settle};
use benchmark_harness::{Args, Bank, Database, Parser, anyhow::Result, reject, run, tokio};
use eventcore_memory::InMemoryEventStore;
use eventcore_postgres::PostgresEventStore;
use sqlx::{PgPool, postgres::PgPoolOptions};

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let line = match &args.database {
        Database::Memory => {
            let bank = EventcoreBank::new(InMemoryEventStore::new(), &args, "not durable", None);
            run(&args, bank).await?
        }
        Database::Postgres(url) => {
            let (store, settle) = open(url).await?;
            let bank = EventcoreBank::new(store, &args, "pool of 10, its default", Some(settle));
            run(&args, bank).await?
        }
        Database::Sqlite(_) => reject(
            EventcoreBank::<PostgresEventStore>::SIDE,
            &args,
            "measured by the program `peer-eventcore-sqlite`",
        ),
    };
    println!("{line}");
    Ok(())
}

async fn open(url: &str) -> Result<(PostgresEventStore, Settle)> {
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .connect(url)
        .await?;
    let store = PostgresEventStore::from_pool(pool.clone());
    store.migrate().await;
    let tables =
        "eventcore_events, eventcore_command_state_snapshots, eventcore_subscription_versions";
    sqlx::query(&format!("TRUNCATE {tables}"))
        .execute(&pool)
        .await?;
    let pool = Arc::new(pool);
    Ok((store, Box::new(move || Box::pin(vacuum(pool.clone())))))
}

async fn vacuum(pool: Arc<PgPool>) -> Result<()> {
    sqlx::query("VACUUM ANALYZE").execute(&*pool).await?;
    Ok(())
}
