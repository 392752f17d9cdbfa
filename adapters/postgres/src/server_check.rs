//! Checks at the opening of a store that the server, the database and the role are suitable.

use factum_core::error::StoreError;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Executor as _, Row as _};
use tracing::warn;

use crate::error::store_error;

/// The oldest supported version of PostgreSQL.
const OLDEST_VERSION: i32 = 15;
/// The number of times that the session is compared with the one before.
///
/// If a pooler is in use, a statement can reach the server process of the statement before by chance.
const SESSION_PROBES: usize = 4;

/// The reason why a store cannot use a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unsuitable {
    #[error("PostgreSQL {version} is not supported; use version {OLDEST_VERSION} or newer")]
    Version { version: String },
    #[error(
        "database {database:?} has the encoding {encoding}; create one with UTF8: \
         create database … encoding 'UTF8' template template0"
    )]
    Encoding { database: String, encoding: String },
    #[error("the server is a read-only standby; connect to the primary server")]
    Standby,
    #[error(
        "transactions are read-only in database {database:?}; set default_transaction_read_only = off for this role"
    )]
    ReadOnly { database: String },
    #[error(
        "a connection pooler gives each transaction another session; connect to the server itself, or use the pool mode \
         \"session\""
    )]
    TransactionPooler,
    #[error("role {role:?} lacks the privilege {missing} on {name:?}; grant it")]
    Privileges {
        role: String,
        name: String,
        missing: String,
    },
    #[error(
        "row-level security hides rows of {name:?} from role {role:?}; use the owner of the table, or a role with bypassrls"
    )]
    RowSecurity { role: String, name: String },
}

impl From<Unsuitable> for StoreError {
    fn from(error: Unsuitable) -> Self {
        Self::Failed(error.into())
    }
}

/// The properties of a server, a database and a session.
struct ServerProperties {
    version_number: i32,
    version: String,
    database: String,
    encoding: String,
    is_standby: bool,
    is_read_only: bool,
}

impl ServerProperties {
    fn check(self) -> Result<(), Unsuitable> {
        let Self {
            version,
            database,
            encoding,
            ..
        } = self;
        if self.version_number < OLDEST_VERSION * 10_000 {
            return Err(Unsuitable::Version { version });
        }
        if encoding != "UTF8" {
            return Err(Unsuitable::Encoding { database, encoding });
        }
        if self.is_standby {
            return Err(Unsuitable::Standby);
        }
        if self.is_read_only {
            return Err(Unsuitable::ReadOnly { database });
        }
        Ok(())
    }
}

/// Checks the server and the database, and returns the number of the server process.
///
/// The connection needs no settings; the statement is not prepared, because a pooler may be between.
pub async fn check_server(connection: &mut PgConnection) -> Result<i32, StoreError> {
    let row = connection
        .fetch_one(sqlx::raw_sql(include_str!("sql/check_server.sql")))
        .await;
    let row = row.map_err(store_error)?;
    let properties = || {
        Ok::<_, sqlx::Error>(ServerProperties {
            version_number: row.try_get("version_number")?,
            version: row.try_get("version")?,
            database: row.try_get("database")?,
            encoding: row.try_get("encoding")?,
            is_standby: row.try_get("is_standby")?,
            is_read_only: row.try_get("is_read_only")?,
        })
    };
    properties().map_err(store_error)?.check()?;
    if row.try_get("is_unsafe").map_err(store_error)? {
        warn!("fsync is off: the server loses acknowledged events when it crashes");
    }
    row.try_get("process").map_err(store_error)
}

/// Checks that `connection` and the connections of `pool` keep their sessions.
///
/// The settings, the notifications and the prepared statements of a store belong to a session. `process` is the server
/// process that `connection` has used before.
pub async fn check_sessions(
    connection: &mut PgConnection,
    process: i32,
    pool: &PgPool,
) -> Result<(), StoreError> {
    let mut other = pool.acquire().await.map_err(store_error)?;
    let begun = other.execute(sqlx::raw_sql("begin")).await;
    begun.map_err(store_error)?;
    let is_shared = is_shared(connection, process, &mut other).await;
    let ended = other.execute(sqlx::raw_sql("rollback")).await;
    ended.map_err(store_error)?;
    match is_shared? {
        true => Err(Unsuitable::TransactionPooler.into()),
        false => Ok(()),
    }
}

/// Returns whether `connection` and `other` change or share their server processes.
///
/// `other` has begun a transaction.
async fn is_shared(
    connection: &mut PgConnection,
    process: i32,
    other: &mut PgConnection,
) -> Result<bool, StoreError> {
    // Checked first: a pooler with a single process makes the others wait for the end of the transaction.
    if session_process(other).await? == process {
        return Ok(true);
    }
    for _ in 0..SESSION_PROBES {
        if session_process(connection).await? != process {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn session_process(connection: &mut PgConnection) -> Result<i32, StoreError> {
    let row = connection
        .fetch_one(sqlx::raw_sql("select pg_backend_pid()"))
        .await;
    let process = row.and_then(|row| row.try_get(0));
    process.map_err(store_error)
}

/// Checks that the role can use the tables of the store, and sees all their rows.
pub async fn check_tables(connection: &mut PgConnection) -> Result<(), StoreError> {
    let rows = sqlx::query_as(include_str!("sql/check_tables.sql"));
    let rows: Vec<(String, String, String, bool)> =
        rows.fetch_all(connection).await.map_err(store_error)?;
    match rows.into_iter().next() {
        None => Ok(()),
        Some((name, role, _, true)) => Err(Unsuitable::RowSecurity { role, name }.into()),
        Some((name, role, missing, false)) => Err(Unsuitable::Privileges {
            role,
            name,
            missing,
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suitable() -> ServerProperties {
        ServerProperties {
            version_number: 150_000,
            version: "15.0".into(),
            database: "bank".into(),
            encoding: "UTF8".into(),
            is_standby: false,
            is_read_only: false,
        }
    }

    #[test]
    fn oldest_version_is_checked() {
        assert_eq!(suitable().check(), Ok(()));
        let old = ServerProperties {
            version_number: 140_012,
            version: "14.12 (Debian 14.12-1)".into(),
            ..suitable()
        };
        let expected =
            "PostgreSQL 14.12 (Debian 14.12-1) is not supported; use version 15 or newer";
        assert_eq!(old.check().unwrap_err().to_string(), expected);
    }
}
