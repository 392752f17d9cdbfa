//! Measures `evento` on SQLite and PostgreSQL.

mod account;
mod bank;
mod subscription;

use std::{marker::PhantomData, path::Path, time::Duration};

use account::{Replayed, Stored};
use bank::{EventoBank, Settle};
use benchmark_harness::{Args, Bank, Database, Parser, anyhow::Result, reject, run, tokio};
use evento::{
    Executor, Postgres, Sqlite,
    migrator::{Migrate, Plan},
};
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let line = match &args.database {
        Database::Memory => reject(
            EventoBank::<Sqlite, Replayed>::SIDE,
            &args,
            "it has no in-memory store of its own",
        ),
        Database::Sqlite(path) => {
            let executor = Sqlite::from(sqlite(path).await?);
            measure(&args, executor, "WAL, synchronous=FULL, pool of 10", None).await?
        }
        Database::Postgres(url) => {
            let pool = postgres(url).await?;
            let executor = Postgres::from(pool.clone());
            let settle: Settle = Box::new(move || Box::pin(vacuum(pool.clone())));
            measure(&args, executor, "pool of 10", Some(settle)).await?
        }
    };
    println!("{line}");
    Ok(())
}

async fn measure<E: Executor + Clone + 'static>(
    args: &Args,
    executor: E,
    tuning: &'static str,
    settle: Option<Settle>,
) -> Result<String> {
    if args.scenario.wants_snapshots() {
        let view = PhantomData::<fn() -> Stored>;
        run(
            args,
            EventoBank {
                executor,
                tuning,
                settle,
                view,
            },
        )
        .await
    } else {
        let view = PhantomData::<fn() -> Replayed>;
        run(
            args,
            EventoBank {
                executor,
                tuning,
                settle,
                view,
            },
        )
        .await
    }
}

async fn sqlite(path: &Path) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(60));
    let pool = SqlitePoolOptions::new()
        .max_connections(10)
        .connect_with(options)
        .await?;
    let mut connection = pool.acquire().await?;
    let migrator = evento::sql_migrator::new::<sqlx::Sqlite>()?;
    migrator.run(&mut connection, &Plan::apply_all()).await?;
    Ok(pool)
}

async fn postgres(url: &str) -> Result<PgPool> {
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .connect(url)
        .await?;
    let mut connection = pool.acquire().await?;
    let migrator = evento::sql_migrator::new::<sqlx::Postgres>()?;
    migrator.run(&mut connection, &Plan::apply_all()).await?;
    sqlx::query("TRUNCATE event, subscriber, snapshot")
        .execute(&pool)
        .await?;
    Ok(pool)
}

async fn vacuum(pool: PgPool) -> Result<()> {
    sqlx::query("VACUUM ANALYZE").execute(&pool).await?;
    Ok(())
}
