//! [`File`]: the file of a store, and how connections to it are made.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use crate::error::Fault;

/// A checkpoint every 40 MB instead of 4: it is the longest pause that a writer sees.
const CHECKPOINT: &str = "10000";
/// 64 MB.
const CACHE: &str = "-65536";
/// Statements that a connection keeps prepared.
pub(crate) const STATEMENTS: usize = 100;

/// Where a store is, and how long its connections wait for other processes.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) busy_timeout: Duration,
}

impl File {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// How to connect to write, if the file is there.
    pub(crate) fn writing(&self) -> SqliteConnectOptions {
        self.common()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", CHECKPOINT)
    }

    /// How those connect to read who await.
    pub(crate) fn reading(&self) -> SqliteConnectOptions {
        self.common().pragma("query_only", "1")
    }

    fn common(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(self.busy_timeout)
            .pragma("cache_size", CACHE)
            .foreign_keys(false)
            .disable_statement_logging()
    }

    /// A connection that reads, for one thread: `sqlx` hands each statement and each row from one thread to another,
    /// which costs more than SQLite itself.
    pub(crate) fn connect_to_read(&self) -> Result<Connection, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.pragma_update(None, "cache_size", CACHE)?;
        connection.pragma_update(None, "foreign_keys", 0)?;
        connection.pragma_update(None, "query_only", 1)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}
