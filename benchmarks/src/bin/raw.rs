//! Measures the driver alone: rows inserted in batches, or rows read.

use std::time::Duration;

use anyhow::{Result, bail};
use benchmark_harness::{Database, Parser};
use factum_benchmarks::raw::{postgres, sqlite};
use serde_json::json;

/// Rows per second through the driver, with nothing above it.
#[derive(Parser)]
struct Args {
    /// `sqlite:PATH` or `postgres://URL`, which is empty.
    #[arg(long)]
    database: Database,

    /// Rows per commit.
    #[arg(long, default_value_t = 100)]
    batch: usize,

    /// Reads this many rows instead.
    #[arg(long)]
    read: Option<usize>,

    /// How long rows are inserted.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let round = Duration::from_secs(args.seconds);
    let rate = match (&args.database, args.read) {
        (Database::Memory, _) => bail!("there is no driver of the memory"),
        (Database::Sqlite(path), None) => sqlite::insert(path, args.batch, round).await?,
        (Database::Sqlite(path), Some(rows)) => sqlite::read(path, rows).await?,
        (Database::Postgres(url), None) => postgres::insert(url, args.batch, round).await?,
        (Database::Postgres(url), Some(rows)) => postgres::read(url, rows).await?,
    };
    let (scenario, size) = match args.read {
        Some(rows) => ("raw_read", rows),
        None => ("raw_insert", args.batch),
    };
    let line = json!({
        "side": "sqlx",
        "database": args.database.name(),
        "scenario": scenario,
        "callers": 1,
        "size": size,
        "count": rate.rows,
        "per_second": (rate.rows as f64 / rate.took.as_secs_f64()).round(),
        "p50_us": 0.0,
        "p99_us": 0.0,
        "note": "",
    });
    println!("{line}");
    Ok(())
}
