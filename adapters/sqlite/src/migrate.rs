//! Migration of the schema when a store is opened.

use factum_core::error::StoreError;
use rusqlite::Connection;

use crate::error::BackendError;

/// The migrations in order; the schema version is the number of migrations that were applied.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
];

/// Applies the missing migrations under the write lock; blocks the thread.
///
/// If several processes open a file at the same time, one of them does it.
pub fn migrate(connection: &Connection) -> Result<(), StoreError> {
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    execute(connection, "begin immediate")?;
    let migrated = apply_missing(connection);
    let end = if migrated.is_ok() {
        "commit"
    } else {
        "rollback"
    };
    execute(connection, end)?;
    migrated
}

/// Returns whether the file contains a store, of any schema version.
pub fn has_schema(connection: &Connection) -> Result<bool, BackendError> {
    let sql = "select count(*) from sqlite_master where type = 'table' and name = 'factum_schema'";
    Ok(fetch_one(connection, sql)? > 0)
}

/// Checks that no migration is missing.
pub fn require_current(connection: &Connection) -> Result<(), StoreError> {
    let (found, known) = (version(connection)?, MIGRATIONS.len());
    if found > known {
        return Err(newer(found));
    }
    if found < known {
        return Err(StoreError::CannotOpen(format!(
            "schema version {found} is older than this program's version {known}; \
             open the store once without `read_only`"
        )));
    }
    Ok(())
}

fn newer(found: usize) -> StoreError {
    StoreError::NewerSchema {
        found: u32::try_from(found).unwrap_or(u32::MAX),
        known: MIGRATIONS.len() as u32,
    }
}

fn apply_missing(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found > MIGRATIONS.len() {
        return Err(newer(found));
    }
    execute(
        connection,
        "create table if not exists factum_schema (version integer not null)",
    )?;
    for migration in &MIGRATIONS[found..] {
        execute(connection, migration)?;
    }
    execute(connection, "delete from factum_schema")?;
    let sql = "insert into factum_schema (version) values (?)";
    let inserted = connection.execute(sql, [MIGRATIONS.len() as i64]);
    inserted.map_err(BackendError::from)?;
    Ok(())
}

/// Returns the schema version, which is 0 if there is no schema.
fn version(connection: &Connection) -> Result<usize, StoreError> {
    if !has_schema(connection)? {
        return Ok(0);
    }
    let version = fetch_one(connection, "select max(version) from factum_schema")?;
    usize::try_from(version)
        .map_err(|_| StoreError::Corrupt(format!("negative schema version: {version}")))
}

fn fetch_one(connection: &Connection, sql: &str) -> Result<i64, BackendError> {
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

fn execute(connection: &Connection, sql: &str) -> Result<(), BackendError> {
    Ok(connection.execute_batch(sql)?)
}
