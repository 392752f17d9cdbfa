//! The limit of the backend: the same rows, with nothing above the driver.

use std::time::{Duration, Instant};

use anyhow::Result;
use factum_postgres::PostgresOptions;
use factum_sqlite::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

const METADATA: &str =
    r#"{"actor":"alice","correlation_id":"019a5a4e-3f4c-7c3e-8f0a-1b2c3d4e5f60"}"#;

/// Transactions of `batch` rows, one multi-row statement each, on a file with the store's schema and settings.
pub async fn sqlite(batch: usize, round: Duration) -> Result<f64> {
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

/// A schema that nothing uses yet.
pub fn schema() -> String {
    format!("bench_{}", uuid::Uuid::now_v7().simple())
}

/// Statements of `batch` rows, one `unnest` each in autocommit, on a schema as the store makes it.
pub async fn postgres(url: &str, batch: usize, round: Duration) -> Result<f64> {
    let options = PostgresOptions::new(url.parse()?).schema(schema());
    let store = options.open().await?;
    let mut connection = store.pool().acquire().await?;
    for stream in 1..=batch {
        sqlx::query("insert into stream (key, id) values ($1, $2)")
            .bind(stream as i64)
            .bind(format!("account-{stream}"))
            .execute(&mut *connection)
            .await?;
    }
    let batch = batch as i64;
    let start = Instant::now();
    let mut version = 0;
    while start.elapsed() < round {
        version += 1;
        let ids: Vec<uuid::Uuid> = (0..batch).map(|_| uuid::Uuid::now_v7()).collect();
        sqlx::query(
            "insert into event
             select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[],
                                  $6::bigint[], $7::text[], $8::text[], $9::bytea[], $10::text[],
                                  $11::text[], $12::bigint[])",
        )
        .bind(
            (0..batch)
                .map(|index| (version - 1) * batch + index + 1)
                .collect::<Vec<_>>(),
        )
        .bind((1..=batch).collect::<Vec<_>>())
        .bind(vec![version; batch as usize])
        .bind(ids)
        .bind(vec!["account.deposited"; batch as usize])
        .bind(vec![1_i64; batch as usize])
        .bind(vec![None::<String>; batch as usize])
        .bind(vec![r#"{"amount":1}"#; batch as usize])
        .bind(vec![None::<Vec<u8>>; batch as usize])
        .bind(vec![METADATA; batch as usize])
        .bind(vec![None::<String>; batch as usize])
        .bind(vec![1_763_700_000_000_000_i64; batch as usize])
        .execute(&mut *connection)
        .await?;
    }
    let rate = (version * batch) as f64 / start.elapsed().as_secs_f64();
    drop(connection);
    store.close().await;
    Ok(rate)
}
