//! The limit of SQLite through `rusqlite`.
//!
//! It writes the same rows as `factum-sqlite`, with one prepared statement that is executed for each row.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use benchmark_harness::{Database, NOTE, Parser};
use rusqlite::{Connection, params};
use serde_json::json;
use uuid::Uuid;

const SCHEMA: &str = "
    create table factum_stream (key integer primary key, id text not null unique);
    create table factum_event (
        position integer primary key, stream integer not null, version integer not null, id text not null,
        name text not null, schema_version integer not null, content_type text, data, metadata text not null,
        tags text, recorded_at integer not null, unique (stream, version)
    );";
const METADATA: &str =
    r#"{"actor":"alice","correlation_id":"019a5a4e-3f4c-7c3e-8f0a-1b2c3d4e5f60"}"#;

/// Measures the rows per second that the driver alone can insert or read.
#[derive(Parser)]
struct Args {
    /// Database to create: `sqlite:PATH`.
    #[arg(long)]
    database: Database,

    /// Number of rows per commit.
    #[arg(long, default_value_t = 100)]
    batch: i64,

    /// Number of rows to read instead of inserting.
    #[arg(long)]
    read: Option<i64>,

    /// Measuring time of inserts in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let Database::Sqlite(path) = &args.database else {
        bail!("unsupported database; rusqlite only supports sqlite:PATH");
    };
    let mut connection = open(path)?;
    let (rows, elapsed) = match args.read {
        Some(rows) => read(&mut connection, rows)?,
        None => insert(
            &mut connection,
            args.batch,
            Duration::from_secs(args.seconds),
        )?,
    };
    let line = json!({
        "side": "rusqlite",
        "database": "sqlite",
        "scenario": if args.read.is_some() { "raw_read" } else { "raw_insert" },
        "callers": 1,
        "size": args.read.unwrap_or(args.batch),
        "count": rows,
        "per_second": (rows as f64 / elapsed.as_secs_f64()).round(),
        "p50_us": 0.0,
        "p99_us": 0.0,
        "note": "",
    });
    println!("{line}");
    Ok(())
}

fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 10_000)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn insert(connection: &mut Connection, batch: i64, duration: Duration) -> Result<(i64, Duration)> {
    put(connection, batch, 0)?;
    let begin = Instant::now();
    let mut number = 0;
    while begin.elapsed() < duration {
        number += 1;
        put(connection, batch, number)?;
    }
    Ok((number * batch, begin.elapsed()))
}

/// Inserts `batch` rows of different streams in one transaction.
fn put(connection: &mut Connection, batch: i64, number: i64) -> Result<()> {
    let data = format!(r#"{{"amount":1,"note":"{NOTE}"}}"#);
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare_cached(
        "insert into factum_event (position, stream, version, id, name, schema_version, data, metadata, recorded_at)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for row in 0..batch {
        statement.execute(params![
            number * batch + row + 1,
            row + 1,
            number + 1,
            Uuid::now_v7().to_string(),
            "account.deposited",
            1,
            data,
            METADATA,
            1_763_700_000_000_000_i64,
        ])?;
    }
    drop(statement);
    transaction.commit()?;
    Ok(())
}

fn read(connection: &mut Connection, rows: i64) -> Result<(i64, Duration)> {
    const BATCH: i64 = 500;
    for stream in 1..=BATCH {
        let id = format!("account-{stream}");
        connection.execute(
            "insert into factum_stream values (?, ?)",
            params![stream, id],
        )?;
    }
    for number in 0..(rows + BATCH - 1) / BATCH {
        put(connection, BATCH, number)?;
    }
    let begin = Instant::now();
    let mut statement = connection.prepare(
        "select e.position, s.id, e.version, e.id, e.name, e.schema_version, e.data, e.metadata, e.recorded_at
         from factum_event e join factum_stream s on s.key = e.stream
         where e.position > ? order by e.position limit 1000",
    )?;
    let (mut position, mut found) = (0, 0);
    loop {
        type Row = (i64, String, i64, String, String, i64, String, String, i64);
        let page = statement.query_map([position], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
                row.get(8)?,
            ))
        })?;
        let page = page.collect::<Result<Vec<Row>, _>>()?;
        let Some(last) = page.last() else { break };
        position = last.0;
        found += page.len() as i64;
    }
    Ok((found, begin.elapsed()))
}
