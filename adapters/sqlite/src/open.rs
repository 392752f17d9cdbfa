//! [`SqliteOptions`]: the options for opening a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum_core::error::StoreError;
use factum_sql::{BoxedProjection, EventsOf, SqlProjectSet};
use rusqlite::Connection;
use tokio::task::spawn_blocking;

use crate::database_file::DatabaseFile;
use crate::inline::Inline;
use crate::read_pool::ReadPool;
use crate::store::{SqliteStore, StoreParts};
use crate::view_pool::ViewPool;
use crate::write_connection::WriteConnection;

/// The interval at which opening is retried while another process creates the file.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// The options for opening a store: start with [`new`](Self::new), end with [`open`](Self::open).
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    file: DatabaseFile,
    readers: u32,
    inline: Vec<Arc<dyn BoxedProjection>>,
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
    /// [Queries](SqliteStore::query) and views have the same maximum of their own. Events are read by at most two
    /// connections for each core, even if the maximum is higher. The default is 8.
    #[must_use]
    pub fn readers(mut self, connections: u32) -> Self {
        self.readers = connections.max(1);
        self
    }

    /// Sets the time that a write waits for another process that writes.
    ///
    /// After this time, the write fails with [`StoreError::Unavailable`]. The default is 5 seconds.
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
    /// Give the [read model](SqliteStore::read_model) of the same projection to the runtime, in this process or
    /// another: it builds the tables, catches up, and retries dead letters. Appends update a build once it has caught
    /// up. Until then, and while the projection is paused or has dead letters, they leave it to the runtime. The
    /// projection must have one partition. Each append runs its statements, and nothing else can write to the file
    /// meanwhile.
    ///
    /// ```
    /// # use factum::prelude::*;
    /// # use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteOptions};
    /// # #[derive(Event, Serialize, Deserialize)]
    /// # #[event(prefix = "account")]
    /// # enum AccountEvent { Opened { owner: String } }
    /// #[derive(Projection, Clone)]
    /// #[projection(name = "owners", events = AccountEvent)]
    /// struct Owners;
    /// # impl SqlProjection for Owners {
    /// #     async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
    /// #         db.execute("create table if not exists {owner} (account text primary key, name text not null)").await
    /// #     }
    /// # }
    /// # impl SqlProject<AccountEvent> for Owners {
    /// #     async fn project(&self, _: &Recorded<AccountEvent>, _: &mut Sql<'_>) -> Result<(), BoxError> { Ok(()) }
    /// # }
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let file = dir.path().join("bank.db");
    /// let store = SqliteOptions::new(file).inline(Owners).open().await?;
    /// let engine = Engine::new(store.clone());
    /// let runtime = Runtime::builder(&engine).projection(store.read_model(Owners)).start().await?;
    /// runtime.wait_until_current().await?;
    /// # runtime.stop().await;
    /// # store.close().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`AppendError::Projection`]: factum_core::append::AppendError::Projection
    #[must_use]
    pub fn inline<P: SqlProjectSet<EventsOf<P>>>(mut self, projection: P) -> Self {
        self.inline.push(Arc::new(projection));
        self
    }

    /// Opens or creates the file, and migrates its schema.
    ///
    /// # Errors
    /// - [`StoreError::NewerSchema`] if a newer version of this crate migrated the file.
    /// - [`StoreError::Unavailable`] if another process keeps its lock on the file.
    /// - [`StoreError::Failed`] if the file cannot be opened or is not a SQLite database, or if two inline projections have
    ///   the same name.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        if self.file.path.as_os_str() == ":memory:" {
            let reason = "invalid file name: \":memory:\"; each connection would open a separate database, \
                          use `factum-memory`";
            return Err(StoreError::Failed(reason.into()));
        }
        let inline = Inline::new(&self.inline)?;
        let opened = spawn_blocking(move || {
            let connection = self.connect_writer()?;
            SqliteStore::start(StoreParts {
                writer: WriteConnection::new(self.file.clone(), connection),
                inline,
                read_pool: ReadPool::new(self.file.clone(), self.max_reader_threads()),
                view_pool: ViewPool::new(self.file.clone(), self.readers),
                watcher: self.file.connect_to_read()?,
            })
        });
        opened
            .await
            .map_err(|error| StoreError::Failed(error.into()))?
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
    fn connect_writer(&self) -> Result<Connection, StoreError> {
        let deadline = Instant::now() + self.file.busy_timeout;
        loop {
            let error = match self.try_connect_writer() {
                Err(StoreError::Unavailable(error)) => error,
                other => return other,
            };
            if Instant::now() >= deadline {
                return Err(StoreError::Unavailable(error));
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    fn try_connect_writer(&self) -> Result<Connection, StoreError> {
        let connection = self.file.connect_to_write(true).map_err(|error| {
            let text = error.to_string();
            match StoreError::from(error) {
                busy @ StoreError::Unavailable(_) => busy,
                _ => {
                    let path = self.file.path.display();
                    StoreError::Failed(format!("cannot open the file: {path}; {text}").into())
                }
            }
        })?;
        crate::migrate::migrate(&connection)?;
        Ok(connection)
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
