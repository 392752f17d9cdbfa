//! Migration of the schema when a store is opened.

use factum_core::error::StoreError;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::error::store_error;

/// The migrations in order; the schema version is the number of migrations that were applied.
const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
];

/// The current functions, which each migration replaces.
const FUNCTIONS: [&str; 2] = [
    include_str!("migrations/append.sql"),
    include_str!("migrations/change.sql"),
];

/// Applies the missing migrations under a lock; does nothing if the schema is current.
///
/// If several processes open a database at the same time, one of them does it. The caller has checked that `schema` is
/// a valid name.
///
/// # Errors
/// Returns [`StoreError::Failed`] with [`CannotMigrate`] if the role must not create the schema.
pub async fn migrate(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    if is_current(version(connection, schema).await?)? {
        return Ok(());
    }
    let migrated = apply_missing(connection, schema).await;
    migrated.map_err(|error| match is_denied(&error) {
        true => StoreError::Failed(Box::new(CannotMigrate {
            schema: schema.to_owned(),
            error,
        })),
        false => store_error(error),
    })?;
    is_current(version(connection, schema).await?).map(drop)
}

/// The schema of the store must be created or updated, and the role must not do that.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot create or update schema {schema:?}: the role has no privilege; open the store once with a role that has it"
)]
struct CannotMigrate {
    schema: String,
    #[source]
    error: sqlx::Error,
}

fn is_denied(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some("42501")
}

/// Returns whether no migration is missing.
fn is_current(found: u32) -> Result<bool, StoreError> {
    let known = MIGRATIONS.len() as u32;
    match found > known {
        true => Err(StoreError::NewerSchema { found, known }),
        false => Ok(found == known),
    }
}

/// Returns the schema version, or 0 if the schema does not exist.
async fn version(connection: &mut PgConnection, schema: &str) -> Result<u32, StoreError> {
    let exists = format!("select to_regclass('\"{schema}\".schema_version') is not null");
    let exists: Result<bool, _> = sqlx::query_scalar(AssertSqlSafe(exists))
        .fetch_one(&mut *connection)
        .await;
    if !exists.map_err(store_error)? {
        return Ok(0);
    }
    let sql = format!("select coalesce(max(version), 0) from \"{schema}\".schema_version");
    let found: Result<i64, _> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await;
    Ok(u32::try_from(found.map_err(store_error)?).unwrap_or(u32::MAX))
}

async fn apply_missing(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Any number that only this crate uses. The lock ends with the transaction.
    run(
        &mut transaction,
        "select pg_advisory_xact_lock(7305803126914703)",
    )
    .await?;
    // `create schema if not exists` needs a privilege even if the schema exists.
    let exists = format!("select to_regnamespace('\"{schema}\"') is not null");
    let exists = sqlx::query_scalar(AssertSqlSafe(exists));
    if !exists.fetch_one(&mut *transaction).await? {
        let create = format!("create schema \"{schema}\"");
        run(&mut transaction, AssertSqlSafe(create)).await?;
    }
    let create = "create table if not exists schema_version (version bigint not null)";
    run(&mut transaction, create).await?;
    let found: i64 = sqlx::query_scalar("select coalesce(max(version), 0) from schema_version")
        .fetch_one(&mut *transaction)
        .await?;
    let missing = usize::try_from(found).ok();
    if let Some(missing) = missing.and_then(|found| MIGRATIONS.get(found..))
        && !missing.is_empty()
    {
        for migration in missing {
            run(&mut transaction, *migration).await?;
        }
        for functions in FUNCTIONS {
            run(&mut transaction, functions).await?;
        }
        run(&mut transaction, "delete from schema_version").await?;
        sqlx::query("insert into schema_version (version) values ($1)")
            .bind(MIGRATIONS.len() as i64)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

async fn run(connection: &mut PgConnection, sql: impl sqlx::SqlSafeStr) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}
