//! [`SqliteOptions`]: the options for opening a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use factum::{EventsOf, StoreError};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{ConnectOptions as _, SqliteConnection, SqlitePool};

use crate::SqliteProjectSet;
use crate::database_file::DatabaseFile;
use crate::error::{is_busy, store_error};
use crate::inline::{Inlined, Inlines, OfProjection};
use crate::read_pool::ReadPool;
use crate::store::{SqliteStore, StoreParts};
use crate::write_connection::WriteConnection;

/// The interval at which opening is retried while another process creates the file.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// The options for opening a store: start with [`new`](Self::new), end with [`open`](Self::open).
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    file: DatabaseFile,
    readers: u32,
    inline: Vec<Arc<dyn Inlined>>,
}

impl SqliteOptions {
    /// Creates the default options for `file`.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: DatabaseFile::new(file),
            readers: 8,
            inline: Vec::new(),
        }
    }

    /// Sets the maximum number of connections that read events, at least 1.
    ///
    /// The [pool](SqliteStore::pool) has the same maximum. Events are read by at most two connections for each core,
    /// even if the maximum is higher. The default is 8.
    #[must_use]
    pub fn readers(mut self, connections: u32) -> Self {
        self.readers = connections.max(1);
        self
    }

    /// Sets how long a write waits for another process that writes.
    ///
    /// Then it fails with [`StoreError::Unavailable`]. The default is 5 seconds.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.file.busy_timeout = timeout;
        self
    }

    /// Runs `projection` inside of the transaction that appends.
    ///
    /// A read that starts after an append has returned sees the effect of its events. If the projection fails or panics
    /// on an event, the append is rejected with [`AppendError::Projection`], and leaves no trace in the tables of the
    /// projection.
    ///
    /// It is an ordinary projection with tables and one partition. [`open`](Self::open) builds it if it is missing or
    /// has a new version, which becomes active once it has caught up. A clone may also run in
    /// [`Projections`](factum::Projections), for its status and for commands such as rebuild. Each append runs the
    /// statements of the projection, and nothing else can write to the file meanwhile.
    ///
    /// ```
    /// # use async_trait::async_trait;
    /// # use factum::prelude::*;
    /// # use factum_sqlite::{BoxError, SqliteOptions, SqliteProject, SqliteProjection, Tables};
    /// # #[derive(Event, Serialize, Deserialize)]
    /// # #[event(prefix = "account")]
    /// # enum AccountEvent { Opened { owner: String } }
    /// #[derive(Projection)]
    /// #[projection(name = "owners", events = AccountEvent)]
    /// struct Owners;
    /// # #[async_trait]
    /// # impl SqliteProjection for Owners {
    /// #     async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
    /// #         let sql = "create table if not exists {owner} (account text primary key, name text not null)";
    /// #         sqlx::query(db.sql(sql)).execute(&mut **db).await?;
    /// #         Ok(())
    /// #     }
    /// # }
    /// # #[async_trait]
    /// # impl SqliteProject<AccountEvent> for Owners {
    /// #     async fn project(&self, _: &Recorded<AccountEvent>, _: &mut Tables<'_>) -> Result<(), BoxError> { Ok(()) }
    /// # }
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let file = dir.path().join("bank.db");
    /// let store = SqliteOptions::new(file).inline(Owners).open().await?;
    /// # store.close().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`AppendError::Projection`]: factum::AppendError::Projection
    #[must_use]
    pub fn inline<P: SqliteProjectSet<EventsOf<P>>>(mut self, projection: P) -> Self {
        self.inline.push(Arc::new(OfProjection(projection)));
        self
    }

    /// Opens or creates the file, migrates its schema, and builds the [inline](Self::inline) projections.
    ///
    /// # Errors
    /// - [`StoreError::NewerSchema`] if a newer version of this crate migrated the file.
    /// - [`StoreError::Unavailable`] if another process keeps its lock on the file.
    /// - [`StoreError::Failed`] if the file cannot be opened or is not a SQLite database, or if an inline projection
    ///   fails on a stored event.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        if self.file.path.as_os_str() == ":memory:" {
            let reason = "invalid file name: \":memory:\"; each connection would open a separate database, \
                          use `factum-memory`";
            return Err(StoreError::Failed(reason.into()));
        }
        let inlines = Inlines::new(&self.inline)?;
        let connection = self.connect_writer().await?;
        let mut writer = WriteConnection::new(self.file.clone(), connection).await?;
        inlines.build(&mut writer).await?;
        let watcher = self.file.read_options().connect().await;
        let parts = StoreParts {
            writer,
            inlines,
            pool: self.pool(),
            read_pool: ReadPool::new(self.file.clone(), self.max_reader_threads()),
            watcher: watcher.map_err(store_error)?,
        };
        SqliteStore::start(parts).await
    }

    /// Returns the maximum number of reading threads; more of them would only compete for the cores.
    fn max_reader_threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (self.readers as usize).min(2 * cores)
    }

    /// Opens the connection that writes, and migrates the schema.
    ///
    /// SQLite reports a file that another process is creating as busy, without waiting for the timeout. So this
    /// retries.
    async fn connect_writer(&self) -> Result<SqliteConnection, StoreError> {
        let deadline = tokio::time::Instant::now() + self.file.busy_timeout;
        loop {
            let error = match self.try_connect_writer().await {
                Err(StoreError::Unavailable(error)) => error,
                other => return other,
            };
            if tokio::time::Instant::now() >= deadline {
                return Err(StoreError::Unavailable(error));
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    async fn try_connect_writer(&self) -> Result<SqliteConnection, StoreError> {
        let options = self.file.write_options().create_if_missing(true);
        let mut connection = options.connect().await.map_err(|error| match error {
            busy if is_busy(&busy) => StoreError::Unavailable(busy.into()),
            other => {
                let path = self.file.path.display();
                StoreError::Failed(format!("cannot open the file: {path}; {other}").into())
            }
        })?;
        crate::migrate::migrate(&mut connection).await?;
        Ok(connection)
    }

    fn pool(&self) -> SqlitePool {
        SqlitePoolOptions::new()
            .max_connections(self.readers)
            // The database is in this process, so a connection cannot be lost.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.file.read_options())
    }
}

impl SqliteStore {
    /// Opens or creates `file` with the default [`SqliteOptions`].
    ///
    /// # Errors
    /// The errors of [`SqliteOptions::open`].
    pub async fn open(file: impl Into<PathBuf>) -> Result<Self, StoreError> {
        SqliteOptions::new(file).open().await
    }
}
