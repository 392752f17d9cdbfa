//! [`SqliteOptions`]: how a file is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use factum::{EventsOf, StoreError};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{ConnectOptions as _, SqliteConnection, SqlitePool};

use crate::SqliteProjectSet;
use crate::error::{is_busy, store_error};
use crate::file::File;
use crate::inline::{Inlined, Inlines, OfProjection};
use crate::readers::Readers;
use crate::store::SqliteStore;
use crate::writing::Writing;

/// How a file is opened. Start with [`SqliteOptions::new`], end with [`open`](Self::open).
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    file: File,
    readers: u32,
    inline: Vec<Arc<dyn Inlined>>,
}

impl SqliteOptions {
    /// The defaults, for `file`.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: File::new(file),
            readers: 8,
            inline: Vec::new(),
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
        self.file.busy_timeout = timeout;
        self
    }

    /// Lets `projection` have its effect in the transaction that appends: whoever reads behind the answer to an append finds
    /// it, and an event that it cannot take rejects its append with [`AppendError::Projection`]. A panic is such a rejection.
    ///
    /// It is an ordinary projection into tables, in one partition: [`open`](Self::open) builds what is not there yet, also a new
    /// version, and readers see that once it is full. A clone may run in [`Projections`](factum::Projections) as well, for its
    /// status and orders. Every append pays for its statements; nothing else is written to the file meanwhile.
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

    /// Opens the file, creates it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer version of this crate wrote the file,
    /// [`StoreError::Unavailable`] if another process does not let go of it, [`StoreError::Failed`] if it
    /// cannot be opened, is no SQLite database, or holds an event that an inline projection cannot take.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        if self.file.path.as_os_str() == ":memory:" {
            let reason = "each connection would see a database of its own; use `factum-memory`";
            return Err(StoreError::Failed(reason.into()));
        }
        let inlines = Inlines::new(&self.inline)?;
        let connection = self.writer().await?;
        let mut writing = Writing::new(self.file.clone(), connection).await?;
        inlines.build(&mut writing).await?;
        let watcher = self.file.reading().connect().await.map_err(store_error)?;
        let readers = Readers::new(self.file.clone(), self.most_readers());
        let pools = (self.readers_pool(), readers);
        SqliteStore::start((writing, inlines), pools, watcher).await
    }

    /// How many threads read. More than this many for each core would only take the core from each other.
    fn most_readers(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (self.readers as usize).min(2 * cores)
    }

    /// The connection that writes, with the schema in place. A file that is just being created by another
    /// process answers "busy" at once, without the timeout: so it is asked again.
    async fn writer(&self) -> Result<SqliteConnection, StoreError> {
        let until = tokio::time::Instant::now() + self.file.busy_timeout;
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
        let options = self.file.writing().create_if_missing(true);
        let mut connection = options.connect().await.map_err(|error| match error {
            busy if is_busy(&busy) => StoreError::Unavailable(busy.into()),
            other => StoreError::Failed(format!("{}: {other}", self.file.path.display()).into()),
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
            .connect_lazy_with(self.file.reading())
    }
}

impl SqliteStore {
    /// Opens `file` with the default [`SqliteOptions`]; creates it if there is none.
    ///
    /// # Errors
    /// As [`SqliteOptions::open`].
    pub async fn open(file: impl Into<PathBuf>) -> Result<Self, StoreError> {
        SqliteOptions::new(file).open().await
    }
}
