//! [`SqliteStore`]: the handle, and its implementation of the store traits.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use factum::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum::metrics::StoreMetrics;
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, Read, Scope,
    Snapshot, SnapshotStore, StoreError, StreamId,
};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::error::store_error;
use crate::inline::Inlines;
use crate::read_pool::{ReadCost, ReadPool};
use crate::write_connection::{WriteConnection, WriteLock};
use crate::write_request::{Responder, WriteRequest};
use crate::writer::{QUEUE_CAPACITY, Writer, WriterMessage};
use crate::{document, read, snapshot};

/// A store in a SQLite file.
///
/// It is a handle: clones share their connections. The connections are closed with the last clone, or by
/// [`close`](Self::close).
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    /// Dropped before `writer`, so that the connection in it is dropped on the writer's thread.
    write_lock: Arc<WriteLock>,
    writer: mpsc::Sender<WriterMessage>,
    read_pool: ReadPool,
    pool: SqlitePool,
    head: watch::Receiver<Position>,
    metrics: StoreMetrics,
    watcher: Mutex<Option<Watcher>>,
}

/// The task that looks for commits of other processes.
struct Watcher {
    /// Dropping it ends the task.
    keep_polling: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The open connections that a store starts with.
pub struct StoreParts {
    pub writer: WriteConnection,
    pub inlines: Inlines,
    pub pool: SqlitePool,
    pub read_pool: ReadPool,
    pub watcher: SqliteConnection,
}

impl SqliteStore {
    pub(crate) async fn start(parts: StoreParts) -> Result<Self, StoreError> {
        let mut watcher = parts.watcher;
        let sql = "select coalesce(max(position), 0) from factum_event";
        let head: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut watcher)
            .await
            .map_err(store_error)?;
        let (sender, head) = watch::channel(Position::new(head as u64));
        let sender = Arc::new(sender);
        let (keep_polling, stop_polling) = oneshot::channel();
        let task = tokio::spawn(crate::watch::poll(watcher, sender.clone(), stop_polling));
        let write_lock = Arc::new(WriteLock::new(parts.writer));
        let (writer, inbox) = mpsc::channel(QUEUE_CAPACITY);
        let metrics = StoreMetrics::new("sqlite");
        let writer_thread = Writer {
            write_lock: write_lock.clone(),
            inlines: parts.inlines,
            head: sender,
            metrics: metrics.clone(),
        };
        std::thread::Builder::new()
            .name("factum-sqlite-writer".to_owned())
            .spawn(move || writer_thread.run(inbox))
            .map_err(|error| StoreError::Failed(error.into()))?;
        Ok(Self(Arc::new(Shared {
            write_lock,
            writer,
            read_pool: parts.read_pool,
            pool: parts.pool,
            head,
            metrics,
            watcher: Mutex::new(Some(Watcher { keep_polling, task })),
        })))
    }

    /// Returns a pool of read-only connections, for read models and reports.
    ///
    /// SQLite rejects statements that write through it.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.0.pool
    }

    /// Waits for running appends, then closes the file.
    ///
    /// From then on every handle returns [`StoreError::Closed`].
    pub async fn close(&self) {
        let (sender, closed) = oneshot::channel();
        let message = WriterMessage::Close(sender);
        if self.0.writer.send(message).await.is_ok() {
            // An error means that the writer has already ended.
            let _ = closed.await;
        }
        if let Some(Watcher { keep_polling, task }) = self.0.watcher.lock().await.take() {
            drop(keep_polling);
            // The task ends by itself, and its result does not matter any more.
            let _ = task.await;
        }
        if let Some(writer) = self.0.write_lock.lock().await.take()
            && let Err(error) = writer.close().await
        {
            warn!(%error, "cannot close the writer's connection");
        }
        self.0.read_pool.close().await;
        self.0.pool.close().await;
    }

    pub(crate) fn write_lock(&self) -> &Arc<WriteLock> {
        &self.0.write_lock
    }

    async fn send(&self, request: WriteRequest) -> Result<(), StoreError> {
        let sent = self.0.writer.send(WriterMessage::Write(request)).await;
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
        let cost = match read.scope {
            Scope::Stream(_) => ReadCost::Short,
            Scope::Streams(_) | Scope::All(_) => ReadCost::Long,
        };
        let page = move |connection: &_| read::page(connection, &read);
        let page = self.0.read_pool.run(cost, page).await?;
        self.0.metrics.read(&page);
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        let text = key.key.clone();
        let find = move |connection: &_| crate::find::find(connection, &text);
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
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        changes.check()?;
        let (responder, response) = Responder::new();
        self.send(WriteRequest::ChangeDocuments(changes, responder))
            .await?;
        response.await.map_err(|_| StoreError::Closed)?
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        let keys = keys.to_vec();
        let find = move |db: &_| document::find(db, keys.iter().map(String::as_str));
        Ok(self.0.read_pool.run(ReadCost::Short, find).await?)
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        let scan = move |db: &_| document::scan(db, &scan);
        Ok(self.0.read_pool.run(ReadCost::Short, scan).await?)
    }
}

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        Ok(snapshot::save(&self.0.write_lock, &snapshot).await?)
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let stream = stream.clone();
        let load = move |connection: &_| snapshot::load(connection, &stream);
        Ok(self.0.read_pool.run(ReadCost::Short, load).await?)
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        Ok(snapshot::clear(&self.0.write_lock).await?)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("head", &*self.0.head.borrow())
            .finish_non_exhaustive()
    }
}
