//! The limit of the backend: the same rows, with nothing above the driver.

use std::time::{Duration, Instant};

use anyhow::Result;
use factum_sqlite::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

const METADATA: &str =
    r#"{"actor":"alice","correlation_id":"019a5a4e-3f4c-7c3e-8f0a-1b2c3d4e5f60"}"#;

/// Transactions of `batch` rows, one multi-row statement each, on a file with the store's schema and settings.
pub async fn rows_per_second(batch: usize, round: Duration) -> Result<f64> {
    let dir = tempfile::tempdir_in(".")?;
    let file = dir.path().join("raw.db");
    SqliteStore::open(&file).await?.close().await;
    let mut connection = SqliteConnectOptions::new()
        .filename(&file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "10000")
        .pragma("cache_size", "-65536")
        .connect()
        .await?;
    for stream in 1..=batch as i64 {
        sqlx::query("insert into factum_stream (key, id) values (?, ?)")
            .bind(stream)
            .bind(format!("account-{stream}"))
            .execute(&mut connection)
            .await?;
    }
    let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let insert = format!(
        "insert into factum_event (position, stream, version, id, name, schema_version, content_type, \
         data, metadata, tags, recorded_at) values {}",
        vec![row; batch].join(", ")
    );
    let start = Instant::now();
    let mut rows = 0;
    let mut version = 0;
    while start.elapsed() < round {
        version += 1;
        transaction(&mut connection, &insert, batch, version).await?;
        rows += batch;
    }
    let rate = rows as f64 / start.elapsed().as_secs_f64();
    connection.close().await?;
    Ok(rate)
}

async fn transaction(
    connection: &mut SqliteConnection,
    insert: &str,
    batch: usize,
    version: i64,
) -> Result<()> {
    sqlx::query("begin immediate")
        .execute(&mut *connection)
        .await?;
    let mut query = sqlx::query(AssertSqlSafe(insert));
    for index in 0..batch as i64 {
        query = query
            .bind((version - 1) * batch as i64 + index + 1)
            .bind(index + 1)
            .bind(version)
            .bind(uuid::Uuid::now_v7().to_string())
            .bind("account.deposited")
            .bind(1_i64)
            .bind(None::<&str>)
            .bind(r#"{"amount":1}"#)
            .bind(METADATA)
            .bind(None::<&str>)
            .bind(1_763_700_000_000_000_i64);
    }
    query.execute(&mut *connection).await?;
    sqlx::query("commit").execute(connection).await?;
    Ok(())
}
