//! [`SqliteOptions`]: how a file is opened.

use std::path::PathBuf;
use std::time::Duration;

use factum::StoreError;
use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection, SqlitePool};

use crate::error::{Fault, is_busy, store_error};
use crate::store::SqliteStore;

/// A checkpoint every 40 MB instead of 4: it is the longest pause that a writer sees.
const CHECKPOINT: &str = "10000";

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 100;

/// How a file is opened. Start with [`SqliteOptions::new`], end with [`open`](Self::open).
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    file: PathBuf,
    readers: u32,
    busy_timeout: Duration,
}

impl SqliteOptions {
    /// The defaults, for `file`.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            readers: 8,
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// At most this many connections that read at the same time, and as many in
    /// [`pool`](SqliteStore::pool); at least 1. Default 8.
    ///
    /// Events are read by at most two connections for each core.
    #[must_use]
    pub fn readers(mut self, connections: u32) -> Self {
        self.readers = connections.max(1);
        self
    }

    /// How long a write waits for another process that writes, before it fails with
    /// [`StoreError::Unavailable`]. Default 5 seconds.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Opens the file, creates it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer version of this crate wrote the file,
    /// [`StoreError::Unavailable`] if another process does not let go of it, [`StoreError::Failed`] if it
    /// cannot be opened or is no SQLite database.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        if self.file.as_os_str() == ":memory:" {
            let reason = "each connection would see a database of its own; use `factum-memory`";
            return Err(StoreError::Failed(reason.into()));
        }
        let connection = self.writer().await?;
        let pool = self.readers_pool();
        let watcher = self.reading().connect().await.map_err(store_error)?;
        SqliteStore::start(self, connection, pool, watcher).await
    }

    /// The file, for connections that belong to one thread.
    pub(crate) fn file(&self) -> File {
        File {
            path: self.file.clone(),
            busy_timeout: self.busy_timeout,
        }
    }

    /// How many threads read. More than this many for each core would only take the core from each other.
    pub(crate) fn most_readers(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (self.readers as usize).min(2 * cores)
    }

    /// The connection that writes, with the schema in place. A file that is just being created by another
    /// process answers "busy" at once, without the timeout: so it is asked again.
    async fn writer(&self) -> Result<SqliteConnection, StoreError> {
        let until = tokio::time::Instant::now() + self.busy_timeout;
        loop {
            let error = match self.try_writer().await {
                Err(StoreError::Unavailable(error)) => error,
                other => return other,
            };
            if tokio::time::Instant::now() >= until {
                return Err(StoreError::Unavailable(error));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn try_writer(&self) -> Result<SqliteConnection, StoreError> {
        let options = self
            .common()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", CHECKPOINT);
        let mut connection = options.connect().await.map_err(|error| match error {
            busy if is_busy(&busy) => StoreError::Unavailable(busy.into()),
            other => StoreError::Failed(format!("{}: {other}", self.file.display()).into()),
        })?;
        crate::migrate::migrate(&mut connection).await?;
        Ok(connection)
    }

    fn readers_pool(&self) -> SqlitePool {
        SqlitePoolOptions::new()
            .max_connections(self.readers)
            // The database is in this process: a connection that answered a moment ago still does.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.reading())
    }

    fn reading(&self) -> SqliteConnectOptions {
        self.common().pragma("query_only", "1")
    }

    fn common(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.file)
            .busy_timeout(self.busy_timeout)
            .pragma("cache_size", "-65536")
            .foreign_keys(false)
            .disable_statement_logging()
    }
}

/// A file that is there, with its schema in place.
///
/// Events go through `rusqlite`, on threads of the store: `sqlx` hands each statement and each row from one thread to
/// another, which costs more than SQLite itself. Read models are written by others, who await: they have `sqlx`.
#[derive(Debug, Clone)]
pub(crate) struct File {
    path: PathBuf,
    busy_timeout: Duration,
}

impl File {
    pub(crate) fn connect_to_write(&self) -> Result<Connection, Fault> {
        let connection = self.connect()?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
        Ok(connection)
    }

    pub(crate) fn connect_to_read(&self) -> Result<Connection, Fault> {
        let connection = self.connect()?;
        connection.pragma_update(None, "query_only", 1)?;
        Ok(connection)
    }

    fn connect(&self) -> Result<Connection, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.pragma_update(None, "cache_size", -65_536)?;
        connection.pragma_update(None, "foreign_keys", 0)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}
