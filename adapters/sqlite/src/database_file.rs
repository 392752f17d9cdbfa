//! [`DatabaseFile`]: the file of a store, and the options of its connections.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::BackendError;

/// The size of the WAL in pages at which SQLite starts a checkpoint, about 40 MB.
///
/// The default is 4 MB. A checkpoint is the longest pause of a writer.
const CHECKPOINT_PAGES: i64 = 10_000;
/// The size of the page cache: 64 MB.
const CACHE_SIZE: i64 = -65_536;
/// The number of statements that a connection keeps prepared.
const STATEMENT_CACHE_CAPACITY: usize = 100;

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

    /// Opens the connection that writes.
    ///
    /// `create` allows it to create the file.
    pub fn connect_to_write(&self, create: bool) -> Result<Connection, BackendError> {
        let flags = match create {
            true => OpenFlags::SQLITE_OPEN_CREATE,
            false => OpenFlags::empty(),
        };
        let connection = self.connect(flags)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        Ok(connection)
    }

    /// Opens a connection that only reads.
    pub fn connect_to_read(&self) -> Result<Connection, BackendError> {
        let connection = self.connect(OpenFlags::empty())?;
        connection.pragma_update(None, "query_only", 1)?;
        Ok(connection)
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, BackendError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
        connection.pragma_update(None, "foreign_keys", 0)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
        Ok(connection)
    }
}
