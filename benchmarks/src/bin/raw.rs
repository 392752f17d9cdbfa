//! Measures the database driver alone, or hand-written commands in memory.

use std::time::Duration;

use anyhow::{Result, ensure};
use benchmark_harness::{Database, Parser};
use factum_benchmarks::raw::{Rate, memory, postgres, sqlite};
use serde_json::json;

/// Measures the rows per second that the driver alone can insert, read or update.
#[derive(Parser)]
struct RawArgs {
    /// Empty database `sqlite:PATH` or `postgres://URL`, or `memory` for hand-written commands.
    #[arg(long)]
    database: Database,

    /// Number of rows per commit.
    #[arg(long, default_value_t = 100)]
    batch: usize,

    /// Number of rows to read instead of inserting.
    #[arg(long)]
    read: Option<usize>,

    /// Number of rows of a read model to update instead of inserting.
    #[arg(long)]
    upsert: Option<usize>,

    /// Measuring time of inserts in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = RawArgs::parse();
    let rate = measure(&args).await?;
    let (side, scenario, size) = match (&args.database, args.read, args.upsert) {
        (Database::Memory, ..) => ("by hand", "raw_by_hand", 0),
        (_, _, Some(rows)) => ("sqlx", "raw_upsert", rows),
        (_, Some(rows), None) => ("sqlx", "raw_read", rows),
        (_, None, None) => ("sqlx", "raw_insert", args.batch),
    };
    let line = json!({
        "side": side,
        "database": args.database.name(),
        "scenario": scenario,
        "callers": 1,
        "size": size,
        "count": rate.rows,
        "per_second": (rate.rows as f64 / rate.elapsed.as_secs_f64()).round(),
        "p50_us": 0.0,
        "p99_us": 0.0,
        "note": "",
    });
    println!("{line}");
    Ok(())
}

async fn measure(args: &RawArgs) -> Result<Rate> {
    let duration = Duration::from_secs(args.seconds);
    match (&args.database, args.read, args.upsert) {
        (Database::Memory, read, upsert) => {
            ensure!(
                read.or(upsert).is_none(),
                "--read and --upsert are not supported with --database memory"
            );
            memory::by_hand(duration)
        }
        (Database::Sqlite(path), _, Some(rows)) => sqlite::upsert(path, rows).await,
        (Database::Sqlite(path), Some(rows), None) => sqlite::read(path, rows).await,
        (Database::Sqlite(path), None, None) => sqlite::insert(path, args.batch, duration).await,
        (Database::Postgres(url), _, Some(rows)) => postgres::upsert(url, rows).await,
        (Database::Postgres(url), Some(rows), None) => postgres::read(url, rows).await,
        (Database::Postgres(url), None, None) => postgres::insert(url, args.batch, duration).await,
    }
}
