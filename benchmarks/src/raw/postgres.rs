//! Inserts, reads and updates of rows in the schema of the PostgreSQL store.

use std::time::{Duration, Instant};

use anyhow::Result;
use factum_postgres::PostgresStore;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use super::{METADATA, PAGE, RECORDED_AT, Rate, account, by_hand, data, repeat};
use crate::tables;

async fn open(url: &str) -> Result<PgConnection> {
    PostgresStore::open(url).await?.close().await;
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query("set search_path = factum")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

/// Inserts `batch` rows per statement in autocommit, with `unnest` for more than one row.
pub async fn insert(url: &str, batch: usize, duration: Duration) -> Result<Rate> {
    let mut connection = open(url).await?;
    repeat(batch, duration, async |number| match batch {
        1 => put_one(&mut connection, number).await,
        _ => put(&mut connection, batch as i64, number).await,
    })
    .await
}

async fn put_one(connection: &mut PgConnection, number: i64) -> Result<()> {
    sqlx::query(
        "insert into event (position, stream, version, id, name, schema_version, data, metadata, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(number + 1)
    .bind(1_i64)
    .bind(number + 1)
    .bind(Uuid::now_v7())
    .bind("account.deposited")
    .bind(1_i64)
    .bind(data())
    .bind(METADATA)
    .bind(RECORDED_AT)
    .execute(connection)
    .await?;
    Ok(())
}

async fn put(connection: &mut PgConnection, batch: i64, number: i64) -> Result<()> {
    let rows = batch as usize;
    let positions: Vec<i64> = (0..batch).map(|row| number * batch + row + 1).collect();
    let ids: Vec<Uuid> = (0..batch).map(|_| Uuid::now_v7()).collect();
    sqlx::query(
        "insert into event (position, stream, version, id, name, schema_version, data, metadata, recorded_at)
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::bigint[],
                              $7::text[], $8::text[], $9::bigint[])",
    )
    .bind(positions)
    .bind((1..=batch).collect::<Vec<_>>())
    .bind(vec![number + 1; rows])
    .bind(ids)
    .bind(vec!["account.deposited"; rows])
    .bind(vec![1_i64; rows])
    .bind(vec![data(); rows])
    .bind(vec![METADATA; rows])
    .bind(vec![RECORDED_AT; rows])
    .execute(connection)
    .await?;
    Ok(())
}

/// Reads `rows` rows in order and decodes each of them.
pub async fn read(url: &str, rows: usize) -> Result<Rate> {
    const BATCH: i64 = 500;
    let mut connection = open(url).await?;
    for stream in 1..=BATCH {
        sqlx::query("insert into stream (key, id) values ($1, $2)")
            .bind(stream)
            .bind(format!("account-{stream}"))
            .execute(&mut connection)
            .await?;
    }
    for number in 0..(rows as i64 + BATCH - 1) / BATCH {
        put(&mut connection, BATCH, number).await?;
    }
    sqlx::raw_sql("vacuum analyze")
        .execute(&mut connection)
        .await?;
    let sql = "select e.position, s.id, e.version, e.id, e.name, e.schema_version, e.data, e.metadata, e.recorded_at
               from event e join stream s on s.key = e.stream
               where e.position > $1 order by e.position limit 1000";
    let begin = Instant::now();
    let (mut position, mut found) = (0, 0);
    loop {
        type Row = (i64, String, i64, Uuid, String, i64, String, String, i64);
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
pub async fn upsert(url: &str, rows: usize) -> Result<Rate> {
    let mut connection = open(url).await?;
    sqlx::query(AssertSqlSafe(by_hand(tables::CREATE)))
        .execute(&mut connection)
        .await?;
    let sql = by_hand(tables::UPSERT);
    let begin = Instant::now();
    for page in (0..rows).step_by(PAGE) {
        sqlx::query("begin").execute(&mut connection).await?;
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
