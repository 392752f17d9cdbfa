//! The schema, brought up to date when a file is opened.

use factum::StoreError;
use sqlx::{Row as _, SqliteConnection};

use crate::error::store_error;

/// The steps, from an empty file to today; the schema version is how many were taken.
const STEPS: [&str; 1] = [include_str!("migrations/1.sql")];

/// Takes the steps that are missing, under the write lock: of several processes that open a file together,
/// one does it.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    if version(connection).await? == STEPS.len() {
        return Ok(());
    }
    execute(connection, "begin immediate").await?;
    let migrated = missing_steps(connection).await;
    let end = if migrated.is_ok() {
        "commit"
    } else {
        "rollback"
    };
    execute(connection, end).await?;
    migrated
}

async fn missing_steps(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found = version(connection).await?;
    if found > STEPS.len() {
        return Err(StoreError::NewerSchema {
            found: u32::try_from(found).unwrap_or(u32::MAX),
            known: STEPS.len() as u32,
        });
    }
    execute(
        connection,
        "create table if not exists factum_schema (version integer not null)",
    )
    .await?;
    for step in &STEPS[found..] {
        sqlx::raw_sql(*step)
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    execute(connection, "delete from factum_schema").await?;
    sqlx::query("insert into factum_schema (version) values (?)")
        .bind(STEPS.len() as i64)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// 0: the schema is not there.
async fn version(connection: &mut SqliteConnection) -> Result<usize, StoreError> {
    let sql = "select count(*) from sqlite_master where type = 'table' and name = 'factum_schema'";
    let tables: i64 = fetch_one(connection, sql).await?;
    if tables == 0 {
        return Ok(0);
    }
    let version: i64 = fetch_one(connection, "select max(version) from factum_schema").await?;
    usize::try_from(version)
        .map_err(|_| StoreError::Corrupt(format!("factum_schema holds the version {version}")))
}

async fn fetch_one(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<i64, StoreError> {
    let row = sqlx::query(sql)
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    row.try_get(0).map_err(store_error)
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}
