//! [`SqliteStore`]: the handle, and what it asks the writer and the readers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use factum::metrics::StoreMetrics;
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, Read, Scope,
    StoreError,
};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::error::store_error;
use crate::inline::Inlines;
use crate::job::{Job, Waiting};
use crate::read;
use crate::readers::{Length, Readers};
use crate::writer::{Message, QUEUE, Turn, Writer};
use crate::writing::Writing;

/// A store in a SQLite file. A handle: clones share their connections, which are closed with the last of
/// them, or by [`close`](Self::close).
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    /// Dropped ahead of `jobs`, so that what it holds ends on the writer's thread.
    turn: Arc<Turn>,
    jobs: mpsc::Sender<Message>,
    readers: Readers,
    pool: SqlitePool,
    head: watch::Receiver<Position>,
    metrics: StoreMetrics,
    watcher: Mutex<Option<Watcher>>,
}

/// The task that looks for what others commit.
struct Watcher {
    /// It ends when this is dropped.
    alive: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl SqliteStore {
    pub(crate) async fn start(
        (writing, inlines): (Writing, Inlines),
        (pool, readers): (SqlitePool, Readers),
        mut watcher: SqliteConnection,
    ) -> Result<Self, StoreError> {
        let sql = "select coalesce(max(position), 0) from factum_event";
        let head: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut watcher)
            .await
            .map_err(store_error)?;
        let (sender, head) = watch::channel(Position::new(head as u64));
        let sender = Arc::new(sender);
        let (alive, ended) = oneshot::channel();
        let task = tokio::spawn(crate::watch::others(watcher, sender.clone(), ended));
        let turn = Arc::new(Turn::new(writing));
        let (jobs, inbox) = mpsc::channel(QUEUE);
        let metrics = StoreMetrics::new("sqlite");
        let writer = Writer {
            turn: turn.clone(),
            inlines,
            head: sender,
            metrics: metrics.clone(),
        };
        std::thread::Builder::new()
            .name("factum-sqlite-writer".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|error| StoreError::Failed(error.into()))?;
        Ok(Self(Arc::new(Shared {
            turn,
            jobs,
            readers,
            pool,
            head,
            metrics,
            watcher: Mutex::new(Some(Watcher { alive, task })),
        })))
    }

    /// Connections that read the file, for read models and reports: what they try to write is rejected.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.0.pool
    }

    /// Lets appends under way finish, then closes the file. Every handle answers
    /// [`StoreError::Closed`] from then on.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.0.jobs.send(Message::Close(answer)).await.is_ok() {
            // An error means that the writer has ended before, which is as good.
            let _ = answered.await;
        }
        if let Some(Watcher { alive, task }) = self.0.watcher.lock().await.take() {
            drop(alive);
            // Ends by itself, and cannot fail in a way that matters now.
            let _ = task.await;
        }
        if let Some(writing) = self.0.turn.take().await.take()
            && let Err(error) = writing.close().await
        {
            warn!(%error, "the connection was not closed in order");
        }
        self.0.readers.close().await;
        self.0.pool.close().await;
    }

    pub(crate) async fn ask(&self, job: Job) -> Result<(), StoreError> {
        let asked = self.0.jobs.send(Message::Do(job)).await;
        asked.map_err(|_| StoreError::Closed)
    }

    pub(crate) fn turn(&self) -> &std::sync::Arc<Turn> {
        &self.0.turn
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.0.readers
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        let (waiting, answered) = Waiting::new();
        self.ask(Job::Append(append, waiting)).await?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let length = match read.scope {
            Scope::Stream(_) => Length::Short,
            Scope::Streams(_) | Scope::All(_) => Length::Long,
        };
        let page = move |connection: &_| read::page(connection, &read);
        let page = self.0.readers.run(length, page).await?;
        self.0.metrics.read(&page);
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        let text = key.key.clone();
        let find = move |connection: &_| crate::find::answer(connection, &text);
        let found = self.0.readers.run(Length::Short, find).await;
        let found = found.map_err(StoreError::from)?;
        found.map(|answer| answer.again(key)).transpose()
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.head.clone()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("head", &*self.0.head.borrow())
            .finish_non_exhaustive()
    }
}
