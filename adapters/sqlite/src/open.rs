//! [`SqliteOptions`]: the options for opening a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum_core::error::StoreError;
use factum_sql::{BoxedProjection, EventsOf, SqlProjectSet};
use rusqlite::Connection;
use rusqlite::ffi::ErrorCode;
use tempfile::TempDir;

use crate::access::Access;
use crate::blocking;
use crate::database_file::DatabaseFile;
use crate::error::BackendError;
use crate::file_path::FilePath;
use crate::inline::Inline;
use crate::liveness_lock::{LivenessLock, delete_released};
use crate::read_pool::ReadPool;
use crate::store::{SqliteStore, StoreParts};
use crate::view_pool::ViewPool;
use crate::watch::read_head;
use crate::write_connection::WriteConnection;

/// The interval at which opening is retried while another process creates the file.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);
/// The maximum number of connections that read.
const MAX_READERS: u32 = 1_000;
/// SQLite counts the milliseconds in 32 bits.
const MAX_BUSY_TIMEOUT: Duration = Duration::from_hours(1);

/// The options for opening a store: start with [`new`](Self::new), end with [`open`](Self::open).
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    place: DatabasePlace,
    busy_timeout: Duration,
    readers: u32,
    must_exist: bool,
    read_only: bool,
    inline: Vec<Arc<dyn BoxedProjection>>,
}

/// The place of a database.
#[derive(Debug, Clone)]
enum DatabasePlace {
    File(PathBuf),
    /// A file of its own in a new directory, which is removed with the store.
    Temporary,
}

impl DatabasePlace {
    /// Returns the path, and the directory of a temporary file.
    fn resolve(&self) -> Result<(FilePath, Option<TempDir>), StoreError> {
        match self {
            Self::File(path) => Ok((FilePath::resolve(path)?, None)),
            Self::Temporary => {
                let directory = tempfile::Builder::new().prefix("factum-").tempdir();
                let directory = directory.map_err(|error| {
                    let reason = format!("cannot create a directory for a temporary file: {error}");
                    StoreError::CannotOpen(reason)
                })?;
                let path = FilePath::resolve(&directory.path().join("store.db"))?;
                Ok((path, Some(directory)))
            }
        }
    }
}

impl SqliteOptions {
    /// Creates the default options for `file`.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self::with_place(DatabasePlace::File(file.into()))
    }

    /// Creates options for a new store in a temporary file, for tests.
    ///
    /// All connections of the store share the file, as they do with any other file. Acknowledged writes are not synced
    /// to disk. The file is removed when the store is closed, or when its last handle is dropped.
    #[must_use]
    pub fn temporary() -> Self {
        Self::with_place(DatabasePlace::Temporary)
    }

    fn with_place(place: DatabasePlace) -> Self {
        Self {
            place,
            busy_timeout: Duration::from_secs(5),
            readers: 8,
            must_exist: false,
            read_only: false,
            inline: Vec::new(),
        }
    }

    /// Sets the maximum number of connections that read events, 1 to 1,000.
    ///
    /// [Queries](SqliteStore::query) and views have the same maximum of their own. Events are read by at most two
    /// connections for each core, even if the maximum is higher. The default is 8.
    #[must_use]
    pub fn readers(mut self, connections: u32) -> Self {
        self.readers = connections;
        self
    }

    /// Sets the time that a write waits for another process that writes.
    ///
    /// After this time, the write fails with [`StoreError::Unavailable`]. The default is 5 seconds, and the maximum one
    /// hour.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Requires that the file exists and contains a store.
    ///
    /// Without it, a wrong path creates a new and empty store.
    #[must_use]
    pub fn must_exist(mut self) -> Self {
        self.must_exist = true;
        self
    }

    /// Opens the file to read only; it must exist and have the schema version of this program.
    ///
    /// Other processes may write to the file meanwhile. Appends and document changes fail with [`StoreError::ReadOnly`],
    /// and inline projections do not run. SQLite needs to create files beside the database for this. If it cannot, for
    /// example on a read-only medium, and no process has the file open, then nobody may write to it until the store is
    /// closed: reads fail once another process does.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self.must_exist = true;
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
    /// The path is resolved once: later changes of the working directory or of symbolic links have no effect. It must
    /// be the path of a file; URLs, and SQLite's names for databases in memory, are rejected.
    ///
    /// # Errors
    /// - [`StoreError::CannotOpen`] if the path or an option is not valid, if the program may not access the file, or if two
    ///   inline projections have the same name.
    /// - [`StoreError::NewerSchema`] if a newer version of this crate migrated the file.
    /// - [`StoreError::Unavailable`] if another process keeps its lock on the file, or if the disk is full.
    /// - [`StoreError::Failed`] if it is called outside of a tokio runtime.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        self.check_limits()?;
        let runtime = blocking::runtime()?;
        let inline = Inline::new(&self.inline, runtime)?;
        blocking::run(move || self.open_blocking(inline)).await?
    }

    fn check_limits(&self) -> Result<(), StoreError> {
        if !(1..=MAX_READERS).contains(&self.readers) {
            let readers = self.readers;
            let reason =
                format!("invalid number of readers: {readers}; expected 1 to {MAX_READERS}");
            return Err(StoreError::CannotOpen(reason));
        }
        if self.busy_timeout > MAX_BUSY_TIMEOUT {
            let (timeout, limit) = (self.busy_timeout.as_secs(), MAX_BUSY_TIMEOUT.as_secs());
            let reason = format!("busy timeout is too long: {timeout}s; the limit is {limit}s");
            return Err(StoreError::CannotOpen(reason));
        }
        Ok(())
    }

    fn open_blocking(self, inline: Inline) -> Result<SqliteStore, StoreError> {
        let (path, directory) = self.place.resolve()?;
        if self.must_exist && !path.exists() {
            let shown = path.path().display();
            let reason = format!(
                "the file does not exist: {shown}; open it without `must_exist` to create it"
            );
            return Err(StoreError::CannotOpen(reason));
        }
        let access = match self.read_only {
            true => Access::ReadOnly,
            false => Access::ReadWrite {
                durable: directory.is_none(),
            },
        };
        let mut file = DatabaseFile::new(path.path().to_owned(), self.busy_timeout, access);
        let writer = match self.read_only {
            true => None,
            false => Some(self.connect_writer(&file)?),
        };
        let watcher = match self.read_only {
            true => connect_read_only(&mut file)?,
            false => file.connect_to_read()?,
        };
        let head = read_head(&watcher)?;
        file.guard_identity()?;
        let is_shared = writer.is_some() && directory.is_none();
        let liveness_lock = is_shared.then(|| {
            delete_released(&file.path);
            LivenessLock::acquire(&file.path)
        });
        SqliteStore::start(StoreParts {
            liveness_lock: liveness_lock.flatten(),
            writer: writer.map(|connection| WriteConnection::new(file.clone(), connection)),
            inline,
            read_pool: ReadPool::new(file.clone(), self.max_reader_threads()),
            view_pool: ViewPool::new(file.clone(), self.readers),
            file,
            directory,
            watcher,
            head,
        })
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
    fn connect_writer(&self, file: &DatabaseFile) -> Result<Connection, StoreError> {
        let deadline = Instant::now() + self.busy_timeout;
        loop {
            let error = match self.try_connect_writer(file) {
                Err(StoreError::Unavailable(error)) => error,
                other => return other,
            };
            if Instant::now() >= deadline {
                return Err(StoreError::Unavailable(error));
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    fn try_connect_writer(&self, file: &DatabaseFile) -> Result<Connection, StoreError> {
        let connected = file.connect_to_write(!self.must_exist);
        let connection = connected.map_err(|error| cannot_open(file, error))?;
        if self.must_exist {
            require_schema(file, &connection)?;
        }
        crate::migrate::migrate(&connection)?;
        Ok(connection)
    }
}

/// Opens the first connection of a store that only reads, and checks the schema.
///
/// If SQLite cannot create its files beside the database, and no other process has created them, the database is
/// opened as one that nobody changes.
fn connect_read_only(file: &mut DatabaseFile) -> Result<Connection, StoreError> {
    let connected = file.connect_to_read().and_then(|connection| {
        let _: i64 =
            connection.query_row("select count(*) from sqlite_master", [], |row| row.get(0))?;
        Ok(connection)
    });
    let connection = match connected {
        Err(error) if error.is_access_denied() && !file.has_wal() => {
            file.access = Access::Immutable;
            file.connect_to_read()
        }
        other => other,
    };
    let connection = connection.map_err(|error| cannot_open(file, error))?;
    require_schema(file, &connection)?;
    crate::migrate::require_current(&connection)?;
    Ok(connection)
}

fn require_schema(file: &DatabaseFile, connection: &Connection) -> Result<(), StoreError> {
    if crate::migrate::has_schema(connection).map_err(|error| cannot_open(file, error))? {
        return Ok(());
    }
    let path = file.path.display();
    Err(StoreError::CannotOpen(format!(
        "the file contains no store: {path}; open it without `must_exist` or `read_only` to create one"
    )))
}

/// Converts the error of the first connection, whose cause is usually the file.
fn cannot_open(file: &DatabaseFile, error: BackendError) -> StoreError {
    let path = file.path.display();
    match error.code() {
        Some(ErrorCode::NotADatabase) => StoreError::CannotOpen(format!(
            "the file is not a SQLite database: {path}; give the path of another file"
        )),
        _ if error.is_access_denied() => StoreError::CannotOpen(format!(
            "no permission to write the file and its directory: {path}; change the permissions, or use \
                 `read_only` ({error})"
        )),
        _ => error.into(),
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

    /// Opens a new store in a [temporary file](SqliteOptions::temporary), for tests.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), factum_core::error::StoreError> {
    /// let store = factum_sqlite::SqliteStore::temporary().await?;
    /// # store.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The errors of [`SqliteOptions::open`].
    pub async fn temporary() -> Result<Self, StoreError> {
        SqliteOptions::temporary().open().await
    }
}
