//! Migration of the schema when a store is opened.

use factum_core::error::StoreError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::error::store_error;

/// The migrations in order; the schema version is the number of migrations that were applied.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
];

/// The current functions, which each migration replaces.
const FUNCTIONS: [&str; 2] = [
    include_str!("migrations/append.sql"),
    include_str!("migrations/change.sql"),
];

/// Applies the missing migrations under a lock.
///
/// If several processes open a database at the same time, one of them does it. The caller has checked that `schema` is
/// a valid name.
pub async fn migrate(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    // Any number that only this crate uses. The lock ends with the transaction.
    sqlx::query("select pg_advisory_xact_lock(7305803126914703)")
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    let prepare = format!(
        "create schema if not exists {schema};
         create table if not exists {schema}.schema_version (version bigint not null);"
    );
    run(&mut transaction, AssertSqlSafe(prepare)).await?;
    let found: i64 = sqlx::query_scalar("select coalesce(max(version), 0) from schema_version")
        .fetch_one(&mut *transaction)
        .await
        .map_err(store_error)?;
    let known = MIGRATIONS.len() as u32;
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    if found < known {
        for migration in &MIGRATIONS[found as usize..] {
            run(&mut transaction, *migration).await?;
        }
        for functions in FUNCTIONS {
            run(&mut transaction, functions).await?;
        }
        run(&mut transaction, "delete from schema_version").await?;
        sqlx::query("insert into schema_version (version) values ($1)")
            .bind(i64::from(known))
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
    }
    transaction.commit().await.map_err(store_error)
}

async fn run(connection: &mut PgConnection, sql: impl sqlx::SqlSafeStr) -> Result<(), StoreError> {
    sqlx::raw_sql(sql)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}
