//! Migration of the schema when a store is opened.

use factum::StoreError;
use sqlx::{Row as _, SqliteConnection};

use crate::error::store_error;

/// The migrations in order; the schema version is the number of migrations that were applied.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1.sql")];

/// Applies the missing migrations under the write lock.
///
/// If several processes open a file at the same time, one of them does it.
pub async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    if version(connection).await? == MIGRATIONS.len() {
        return Ok(());
    }
    execute(connection, "begin immediate").await?;
    let migrated = apply_missing(connection).await;
    let end = if migrated.is_ok() {
        "commit"
    } else {
        "rollback"
    };
    execute(connection, end).await?;
    migrated
}

async fn apply_missing(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found = version(connection).await?;
    if found > MIGRATIONS.len() {
        return Err(StoreError::NewerSchema {
            found: u32::try_from(found).unwrap_or(u32::MAX),
            known: MIGRATIONS.len() as u32,
        });
    }
    execute(
        connection,
        "create table if not exists factum_schema (version integer not null)",
    )
    .await?;
    for migration in &MIGRATIONS[found..] {
        sqlx::raw_sql(*migration)
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    execute(connection, "delete from factum_schema").await?;
    sqlx::query("insert into factum_schema (version) values (?)")
        .bind(MIGRATIONS.len() as i64)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// Returns the schema version, which is 0 if there is no schema.
async fn version(connection: &mut SqliteConnection) -> Result<usize, StoreError> {
    let sql = "select count(*) from sqlite_master where type = 'table' and name = 'factum_schema'";
    let tables: i64 = fetch_one(connection, sql).await?;
    if tables == 0 {
        return Ok(0);
    }
    let version: i64 = fetch_one(connection, "select max(version) from factum_schema").await?;
    usize::try_from(version)
        .map_err(|_| StoreError::Corrupt(format!("negative schema version: {version}")))
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
