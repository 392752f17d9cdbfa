//! [`DatabaseFile`]: the file of a store, and the options of its connections.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use crate::error::BackendError;

/// The size of the WAL in pages at which SQLite starts a checkpoint, about 40 MB.
///
/// The default is 4 MB. A checkpoint is the longest pause of a writer.
const CHECKPOINT_PAGES: &str = "10000";
/// The size of the page cache: 64 MB.
const CACHE_SIZE: &str = "-65536";
/// The number of statements that a connection keeps prepared.
pub const STATEMENT_CACHE_CAPACITY: usize = 100;

/// The file of a store, and how long its connections wait for other processes.
#[derive(Debug, Clone)]
pub struct DatabaseFile {
    pub path: PathBuf,
    pub busy_timeout: Duration,
}

impl DatabaseFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// Returns the options of a connection that writes to an existing file.
    pub fn write_options(&self) -> SqliteConnectOptions {
        self.common_options()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
    }

    /// Returns the options of a connection for asynchronous reads.
    pub fn read_options(&self) -> SqliteConnectOptions {
        self.common_options().pragma("query_only", "1")
    }

    fn common_options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(self.busy_timeout)
            .pragma("cache_size", CACHE_SIZE)
            .foreign_keys(false)
            .disable_statement_logging()
    }

    /// Opens a read-only connection for use by one thread.
    ///
    /// sqlx passes each statement and each row from one thread to another, which costs more than SQLite itself.
    pub fn connect_to_read(&self) -> Result<Connection, BackendError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
        connection.pragma_update(None, "foreign_keys", 0)?;
        connection.pragma_update(None, "query_only", 1)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
        Ok(connection)
    }
}
