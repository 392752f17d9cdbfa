//! Inserts, reads and updates of rows in a file with the schema and settings of the SQLite store.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use factum_sqlite::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection};

use super::{METADATA, PAGE, RECORDED_AT, Rate, account, by_hand, data, repeat};
use crate::tables;

async fn open(path: &Path, streams: usize) -> Result<SqliteConnection> {
    SqliteStore::open(path).await?.close().await;
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "10000")
        .pragma("cache_size", "-65536")
        .connect()
        .await?;
    for stream in 1..=streams as i64 {
        sqlx::query("insert into factum_stream (key, id) values (?, ?)")
            .bind(stream)
            .bind(format!("account-{stream}"))
            .execute(&mut connection)
            .await?;
    }
    Ok(connection)
}

/// Inserts `batch` rows of different streams per transaction with one statement.
///
/// A single row is inserted in autocommit.
pub async fn insert(path: &Path, batch: usize, duration: Duration) -> Result<Rate> {
    let mut connection = open(path, batch).await?;
    let sql = statement(batch);
    repeat(batch, duration, async |number| {
        put(&mut connection, &sql, batch, number).await
    })
    .await
}

fn statement(batch: usize) -> String {
    let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    format!(
        "insert into factum_event (position, stream, version, id, name, schema_version, content_type, \
         data, metadata, tags, recorded_at) values {}",
        vec![row; batch].join(", ")
    )
}

async fn put(
    connection: &mut SqliteConnection,
    sql: &str,
    batch: usize,
    number: i64,
) -> Result<()> {
    if batch > 1 {
        sqlx::query("begin immediate")
            .execute(&mut *connection)
            .await?;
    }
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for index in 0..batch as i64 {
        query = query
            .bind(number * batch as i64 + index + 1)
            .bind(index + 1)
            .bind(number + 1)
            .bind(uuid::Uuid::now_v7().to_string())
            .bind("account.deposited")
            .bind(1_i64)
            .bind(None::<&str>)
            .bind(data())
            .bind(METADATA)
            .bind(None::<&str>)
            .bind(RECORDED_AT);
    }
    query.execute(&mut *connection).await?;
    if batch > 1 {
        sqlx::query("commit").execute(connection).await?;
    }
    Ok(())
}

/// Reads `rows` rows in order and decodes each of them.
pub async fn read(path: &Path, rows: usize) -> Result<Rate> {
    const BATCH: usize = 500;
    let mut connection = open(path, BATCH).await?;
    let sql = statement(BATCH);
    for number in 0..rows.div_ceil(BATCH) {
        put(&mut connection, &sql, BATCH, number as i64).await?;
    }
    let sql = "select e.position, s.id, e.version, e.id, e.name, e.schema_version, e.data, e.metadata, e.recorded_at
               from factum_event e join factum_stream s on s.key = e.stream
               where e.position > ? order by e.position limit 1000";
    let begin = Instant::now();
    let (mut position, mut found) = (0, 0);
    loop {
        type Row = (i64, String, i64, String, String, i64, String, String, i64);
        let page: Vec<Row> = sqlx::query_as(sql)
            .bind(position)
            .fetch_all(&mut connection)
            .await?;
        let Some(last) = page.last() else { break };
        position = last.0;
        found += page.len();
    }
    let elapsed = begin.elapsed();
    Ok(Rate {
        rows: found,
        elapsed,
    })
}

/// Updates a row of a read model for each of `rows` events, as the measured projection does.
pub async fn upsert(path: &Path, rows: usize) -> Result<Rate> {
    let mut connection = open(path, 0).await?;
    sqlx::query(AssertSqlSafe(by_hand(tables::CREATE)))
        .execute(&mut connection)
        .await?;
    let sql = by_hand(tables::UPSERT);
    let begin = Instant::now();
    for page in (0..rows).step_by(PAGE) {
        sqlx::query("begin immediate")
            .execute(&mut connection)
            .await?;
        for event in page..rows.min(page + PAGE) {
            sqlx::query(AssertSqlSafe(&*sql))
                .bind(account(event))
                .bind(1_i64)
                .execute(&mut connection)
                .await?;
        }
        sqlx::query("commit").execute(&mut connection).await?;
    }
    let elapsed = begin.elapsed();
    Ok(Rate { rows, elapsed })
}
