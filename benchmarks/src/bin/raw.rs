//! Measures the driver alone: rows inserted in batches, or rows read; in memory, commands written by hand.

use std::time::Duration;

use anyhow::{Result, ensure};
use benchmark_harness::{Database, Parser};
use factum_benchmarks::raw::{Rate, memory, postgres, sqlite};
use serde_json::json;

/// Rows per second through the driver, with nothing above it.
#[derive(Parser)]
struct Args {
    /// `sqlite:PATH` or `postgres://URL`, which is empty; `memory`: the commands of `distinct`, written by hand.
    #[arg(long)]
    database: Database,

    /// Rows per commit.
    #[arg(long, default_value_t = 100)]
    batch: usize,

    /// Reads this many rows instead.
    #[arg(long)]
    read: Option<usize>,

    /// Changes this many rows of a read model instead.
    #[arg(long)]
    upsert: Option<usize>,

    /// How long rows are inserted.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
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
        "per_second": (rate.rows as f64 / rate.took.as_secs_f64()).round(),
        "p50_us": 0.0,
        "p99_us": 0.0,
        "note": "",
    });
    println!("{line}");
    Ok(())
}

async fn measure(args: &Args) -> Result<Rate> {
    let round = Duration::from_secs(args.seconds);
    match (&args.database, args.read, args.upsert) {
        (Database::Memory, read, upsert) => {
            ensure!(
                read.or(upsert).is_none(),
                "the memory is not read by hand, nor are there tables"
            );
            memory::by_hand(round)
        }
        (Database::Sqlite(path), _, Some(rows)) => sqlite::upsert(path, rows).await,
        (Database::Sqlite(path), Some(rows), None) => sqlite::read(path, rows).await,
        (Database::Sqlite(path), None, None) => sqlite::insert(path, args.batch, round).await,
        (Database::Postgres(url), _, Some(rows)) => postgres::upsert(url, rows).await,
        (Database::Postgres(url), Some(rows), None) => postgres::read(url, rows).await,
        (Database::Postgres(url), None, None) => postgres::insert(url, args.batch, round).await,
    }
}
