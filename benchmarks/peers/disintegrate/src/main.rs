//! Measures `disintegrate` on PostgreSQL.

mod bank;
mod decision;
mod listener;

use bank::DisintegrateBank;
use benchmark_harness::{Args, Bank, Database, Parser, anyhow::Result, reject, run, tokio};
use decision::Store;
use disintegrate::{NoSnapshot, WithSnapshot, serde::json::Json};
use disintegrate_postgres::{Migrator, PgSnapshotter};
use sqlx::{PgPool, postgres::PgPoolOptions};

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let Database::Postgres(url) = &args.database else {
        let side = DisintegrateBank::<NoSnapshot>::SIDE;
        println!("{}", reject(side, &args, "it only supports PostgreSQL"));
        return Ok(());
    };
    let (pool, store, snapshotter) = open(url, &args).await?;
    let line = if args.scenario.wants_snapshots() {
        let snapshots = WithSnapshot::new(snapshotter);
        let tuning = &format!("pool of 10; a snapshot every {} events", every(&args));
        run(&args, DisintegrateBank::new(pool, store, snapshots, tuning)).await?
    } else {
        run(
            &args,
            DisintegrateBank::new(pool, store, NoSnapshot, "pool of 10"),
        )
        .await?
    };
    println!("{line}");
    Ok(())
}

async fn open(url: &str, args: &Args) -> Result<(PgPool, Store, PgSnapshotter)> {
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .connect(url)
        .await?;
    sqlx::raw_sql(include_str!("tables.sql"))
        .execute(&pool)
        .await?;
    let store = Store::new_uninitialized(pool.clone(), Json::default());
    Migrator::new(store.clone()).init_listener().await?;
    let snapshotter = PgSnapshotter::try_new(pool.clone(), every(args)).await?;
    sqlx::query("TRUNCATE event, event_listener, snapshot")
        .execute(&pool)
        .await?;
    // Only the scenarios with a listener need the trigger that notifies it.
    sqlx::query("DROP TRIGGER IF EXISTS event_insert_trigger ON event")
        .execute(&pool)
        .await?;
    Ok((pool, store, snapshotter))
}

/// Returns the number of events after which another snapshot of an account is stored.
fn every(args: &Args) -> u64 {
    match args.size {
        0 => 100,
        size => (size as u64 / 2).min(100),
    }
}
