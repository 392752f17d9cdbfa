//! [`SqliteStore`]: the handle, and its implementation of the store traits.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use factum_core::append::{Append, AppendError, Appended, IdempotencyKey, InvalidAppend};
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan, check_keys,
};
use factum_core::error::StoreError;
use factum_core::event_type_list::{EventTypeIndex, EventTypeList, EventTypeSummary};
use factum_core::metrics::StoreMetrics;
use factum_core::position::Position;
use factum_core::projection_scope::check_outside_projection;
use factum_core::read::{Page, Read, Scope};
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::store::EventStore;
use factum_core::stream_id::StreamId;
use factum_core::stream_list::{StreamList, StreamSummary};
use factum_core::timestamp::Timestamp;
use factum_sql::{
    BatchError, EventsOf, SqlConnection, SqlDatabase, SqlDatabaseExt, SqlProjectSet, SqlQuery,
    SqlReadModel, SqlText, TransactionWork,
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tracing::warn;
use uuid::Uuid;

use crate::backup::back_up;
use crate::database_file::DatabaseFile;
use crate::error::{BackendError, store_error_breaks_connection};
use crate::inline::Inline;
use crate::liveness_lock::{LivenessLock, is_released};
use crate::read_pool::{ReadCost, ReadPool};
use crate::transaction::SqliteTransaction;
use crate::view_pool::ViewPool;
use crate::watch::HeadPoller;
use crate::write_connection::{WriteConnection, WriteLock};
use crate::write_request::{Responder, WriteRequest};
use crate::writer::{Writer, WriterMessage};
use crate::{blocking, document, read, snapshot};

/// The time that closing a store waits for running writes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A store in a SQLite file.
///
/// It is a handle: clones share their connections. The connections are closed with the last clone, or by
/// [`close`](Self::close).
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    /// `None` if the store only reads.
    writer: Option<WriterHandle>,
    read_pool: ReadPool,
    view_pool: ViewPool,
    head: watch::Receiver<Position>,
    /// The names of the inline projections.
    inline_names: Vec<String>,
    metrics: StoreMetrics,
    event_types: Arc<EventTypeIndex>,
    poller: Mutex<Option<HeadPoller>>,
    file: DatabaseFile,
    /// `None` if the store only reads, is temporary or is closed, or if the file system has no locks.
    liveness_lock: std::sync::Mutex<Option<LivenessLock>>,
    /// Removes a temporary file when the last handle is dropped.
    directory: std::sync::Mutex<Option<TempDir>>,
}

/// The lock of the connection that writes, and the queue of the thread that appends with it.
struct WriterHandle {
    /// Dropped before `queue`, so that the connection in it is dropped on the writer's thread.
    write_lock: WriteLock,
    queue: mpsc::Sender<WriterMessage>,
}

impl WriterHandle {
    async fn close(&self) {
        let closed = async {
            let (sender, closed) = oneshot::channel();
            let message = WriterMessage::Close(sender);
            if self.queue.send(message).await.is_ok() {
                // An error means that the writer has already ended.
                let _ = closed.await;
            }
            self.write_lock.close().await;
        };
        if blocking::runtime().is_err() {
            // Without a runtime, nothing limits the time.
            return closed.await;
        }
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            warn!("a write is still running; the database file is closed when it ends");
            self.write_lock.close_when_free();
        }
    }
}

/// The open connections that a store starts with.
pub struct StoreParts {
    pub file: DatabaseFile,
    pub directory: Option<TempDir>,
    pub liveness_lock: Option<LivenessLock>,
    pub writer: Option<WriteConnection>,
    pub inline: Inline,
    pub read_pool: ReadPool,
    pub view_pool: ViewPool,
    pub watcher: Connection,
    pub head: Position,
}

impl SqliteStore {
    pub(crate) fn start(parts: StoreParts) -> Result<Self, StoreError> {
        let (sender, head) = watch::channel(parts.head);
        let sender = Arc::new(sender);
        let poller = HeadPoller::start(parts.file.clone(), parts.watcher, sender.clone());
        let poller = poller.map_err(|error| StoreError::Failed(error.into()))?;
        let inline_names = parts.inline.names();
        let metrics = StoreMetrics::new("sqlite");
        let writer = match parts.writer {
            Some(connection) => {
                let write_lock = WriteLock::new(connection);
                let writer = Writer {
                    write_lock: write_lock.clone(),
                    inline: parts.inline,
                    head: sender,
                    metrics: metrics.clone(),
                };
                let queue = writer.start();
                let queue = queue.map_err(|error| StoreError::Failed(error.into()))?;
                Some(WriterHandle { write_lock, queue })
            }
            None => None,
        };
        Ok(Self(Arc::new(Shared {
            writer,
            read_pool: parts.read_pool,
            view_pool: parts.view_pool,
            head,
            inline_names,
            metrics,
            event_types: Arc::default(),
            poller: Mutex::new(Some(poller)),
            file: parts.file,
            liveness_lock: std::sync::Mutex::new(parts.liveness_lock),
            directory: std::sync::Mutex::new(parts.directory),
        })))
    }

    /// Returns the read model of `projection`, in tables of this file.
    #[must_use]
    pub fn read_model<P: SqlProjectSet<EventsOf<P>>>(&self, projection: P) -> SqlReadModel {
        SqlDatabaseExt::read_model(self, projection)
    }

    /// Starts a query that reads the file, in a separate transaction.
    ///
    /// Use the plain names of tables: they are views of the active builds. The text is a constant, or a
    /// [`TrustedSql`](crate::TrustedSql).
    ///
    /// ```
    /// # async fn show(store: factum_sqlite::SqliteStore) -> Result<(), factum_sqlite::SqlError> {
    /// let events: i64 = store.query("select count(*) from events").fetch_one().await?;
    /// # Ok(()) }
    /// ```
    pub fn query(&self, sql: impl SqlText) -> SqlQuery<'_> {
        SqlDatabaseExt::query(self, sql)
    }

    /// Copies the database to the file `target`, while the store is in use.
    ///
    /// The copy contains everything that was acknowledged before the call, as one state of the database. It is checked
    /// and synced before it appears under its name, which must not be in use. Appends continue meanwhile. Open the copy
    /// like any other file.
    ///
    /// Returns the position of the last event in the copy.
    ///
    /// # Errors
    /// - [`StoreError::Unavailable`] if the disk of the copy is full.
    /// - [`StoreError::Failed`] if the copy cannot be written, for example because `target` exists.
    /// - [`StoreError::Corrupt`] if the database is damaged.
    pub async fn backup(&self, target: impl Into<PathBuf>) -> Result<Position, StoreError> {
        let (file, target) = (self.0.file.clone(), target.into());
        if self.0.view_pool.is_closed() {
            return Err(StoreError::Closed);
        }
        blocking::run(move || back_up(&file, &target)).await?
    }

    /// Waits for running appends, ends running reads, and closes the file.
    ///
    /// From then on every handle returns [`StoreError::Closed`]. If writes, or projections that run in them, take longer
    /// than 10 seconds, `close` returns, and the file is closed when they end.
    pub async fn close(&self) {
        if let Some(poller) = self.0.poller.lock().await.take() {
            // The thread ends by itself, and its result does not matter any more.
            let _ = blocking::run(|| poller.stop()).await;
        }
        // The last connection moves the write-ahead log into the file. An interrupted one cannot, so readers are closed
        // first.
        self.0.read_pool.close().await;
        self.0.view_pool.close();
        if let Some(writer) = &self.0.writer {
            writer.close().await;
        }
        let liveness_lock = lock(&self.0.liveness_lock).take();
        let directory = lock(&self.0.directory).take();
        // An error leaves files in the directory for temporary files, which the operating system cleans.
        let _ = blocking::run(|| drop((liveness_lock, directory))).await;
    }

    /// Returns the writer, which is needed for every change.
    fn writer(&self) -> Result<&WriterHandle, StoreError> {
        check_outside_projection()?;
        let writer = self.0.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        match writer.write_lock.is_closed() {
            true => Err(StoreError::Closed),
            false => Ok(writer),
        }
    }

    #[cfg(test)]
    pub(crate) fn write_lock(&self) -> &WriteLock {
        &self
            .writer()
            .expect("the store is opened to write")
            .write_lock
    }

    async fn send(&self, request: WriteRequest) -> Result<(), StoreError> {
        let sent = self
            .writer()?
            .queue
            .send(WriterMessage::Write(request))
            .await;
        sent.map_err(|_| StoreError::Closed)
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        let (responder, response) = Responder::new();
        self.send(WriteRequest::Append(append, responder)).await?;
        response.await.map_err(|_| StoreError::Closed)?
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        read.check()?;
        let cost = match read.scope {
            Scope::Stream(_) => ReadCost::Short,
            Scope::Streams(_) | Scope::All(_) => ReadCost::Long,
        };
        let page = move |connection: &_| read::page(connection, &read);
        let page = self.0.read_pool.run(cost, page).await?;
        self.0.metrics.record_page(&page);
        Ok(page)
    }

    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        append.check()?;
        let import = move |writer: &mut WriteConnection| {
            let imported = crate::batch::import(writer, &append, recorded_at);
            Ok::<_, StoreError>(imported?)
        };
        self.writer()?.write_lock.run(import).await?
    }

    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        let list = move |db: &_| crate::stream_list::list(db, &list);
        Ok(self.0.read_pool.run(ReadCost::Long, list).await?)
    }

    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        let index = self.0.event_types.clone();
        let list = move |db: &_| crate::event_type_list::list(db, &index, &list);
        Ok(self.0.read_pool.run(ReadCost::Long, list).await?)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        key.check().map_err(InvalidAppend::from)?;
        let text = key.key.clone();
        let find = move |connection: &_| crate::idempotency_key::find(connection, &text);
        let found = self.0.read_pool.run(ReadCost::Short, find).await;
        let found = found.map_err(StoreError::from)?;
        found.map(|first| first.repeat(key)).transpose()
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.head.clone()
    }
}

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        changes.check()?;
        let (responder, response) = Responder::new();
        self.send(WriteRequest::ChangeDocuments(changes, responder))
            .await?;
        response.await.map_err(|_| StoreError::Closed)?
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        check_keys(keys)?;
        let keys = keys.to_vec();
        let find = move |db: &_| document::find(db, keys.iter().map(String::as_str));
        Ok(self.0.read_pool.run(ReadCost::Short, find).await?)
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        scan.check()?;
        let scan = move |db: &_| document::scan(db, &scan);
        Ok(self.0.read_pool.run(ReadCost::Short, scan).await?)
    }

    fn liveness_lock(&self) -> Option<Uuid> {
        lock(&self.0.liveness_lock).as_ref().map(LivenessLock::id)
    }

    async fn released_liveness_locks(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let (path, mut ids) = (self.0.file.path.clone(), ids.to_vec());
        blocking::run(move || {
            ids.retain(|id| is_released(&path, *id));
            ids
        })
        .await
    }
}

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        snapshot.check()?;
        let save = move |writer: &mut WriteConnection| {
            let saved = writer.transaction(|db| snapshot::save(db, &snapshot));
            Ok::<_, StoreError>(saved?)
        };
        self.writer()?.write_lock.run(save).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let stream = stream.clone();
        let load = move |connection: &_| snapshot::load(connection, &stream);
        Ok(self.0.read_pool.run(ReadCost::Short, load).await?)
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        let clear = |writer: &mut WriteConnection| {
            let cleared = writer.transaction(|db| snapshot::clear(db));
            Ok::<_, StoreError>(cleared?)
        };
        self.writer()?.write_lock.run(clear).await
    }
}

#[async_trait]
impl SqlDatabase for SqliteStore {
    async fn begin_read(&self) -> Result<Box<dyn SqlConnection>, StoreError> {
        Ok(Box::new(self.0.view_pool.begin().await?))
    }

    fn is_inline(&self, name: &str) -> bool {
        self.0.inline_names.iter().any(|inline| inline == name)
    }

    async fn transaction(&self, work: TransactionWork) -> Result<Revision, BatchError> {
        let writer = self.writer()?;
        let runtime = blocking::runtime()?;
        let work = move |writer: &mut WriteConnection| {
            let done = writer.transaction(|db| {
                // Its statements block, and the code of users may wait for something else.
                let done = runtime.block_on(work(&mut SqliteTransaction(db)));
                let broken = matches!(
                    &done,
                    Err(BatchError::Store(error)) if store_error_breaks_connection(error)
                );
                done.map_err(|error| TransactionError { error, broken })
            });
            done.map_err(|TransactionError { error, broken }| {
                if broken {
                    writer.discard();
                }
                error
            })
        };
        writer.write_lock.run(work).await
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of a transaction, and whether the connection must not be used again.
struct TransactionError {
    error: BatchError,
    broken: bool,
}

impl From<BackendError> for TransactionError {
    fn from(error: BackendError) -> Self {
        Self {
            broken: error.breaks_connection(),
            error: StoreError::from(error).into(),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("head", &*self.0.head.borrow())
            .finish_non_exhaustive()
    }
}
