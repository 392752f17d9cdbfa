//! The schema, brought up to date when a database is opened.

use factum::StoreError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::error::store_error;

/// The steps, from nothing to today; the schema version is how many were taken.
const STEPS: [&str; 2] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
];

/// Replaced at every step: the functions as they are today.
const FUNCTIONS: [&str; 2] = [
    include_str!("migrations/append.sql"),
    include_str!("migrations/change.sql"),
];

/// Of several processes that open a database together, one takes the steps that are missing. `schema` has been
/// checked to be a plain name.
pub(crate) async fn migrate(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    // Any number that only this crate takes; it is given back with the end of the transaction.
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
    let known = STEPS.len() as u32;
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    if found < known {
        for step in &STEPS[found as usize..] {
            run(&mut transaction, *step).await?;
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
