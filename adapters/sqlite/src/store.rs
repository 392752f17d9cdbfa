//! [`SqliteStore`]: the handle, and what it asks the writer and the readers.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, Read, StoreError,
};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot, watch};

use crate::connection::Connection;
use crate::error::store_error;
use crate::open::SqliteOptions;
use crate::writer::{Job, QUEUE, Turn, Writer};

/// A store in a SQLite file. A handle: clones share their connections, which are closed with the last of
/// them, or by [`close`](Self::close).
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    jobs: mpsc::Sender<Job>,
    turn: Arc<Turn>,
    readers: SqlitePool,
    head: watch::Receiver<Position>,
}

impl SqliteStore {
    /// Opens `file` with the default [`SqliteOptions`]; creates it if there is none.
    ///
    /// # Errors
    /// As [`SqliteOptions::open`].
    pub async fn open(file: impl Into<PathBuf>) -> Result<Self, StoreError> {
        SqliteOptions::new(file).open().await
    }

    pub(crate) async fn start(
        writer: SqliteConnection,
        readers: SqlitePool,
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
        let watcher = tokio::spawn(crate::watch::others(watcher, sender.clone(), ended));
        let turn = Arc::new(Turn::new(Connection::new(writer)));
        let (jobs, inbox) = mpsc::channel(QUEUE);
        let writer = Writer {
            turn: turn.clone(),
            head: sender,
            alive,
            watcher,
        };
        tokio::spawn(writer.run(inbox));
        Ok(Self(Arc::new(Shared {
            jobs,
            turn,
            readers,
            head,
        })))
    }

    /// Connections that read the file, for read models and reports: what they try to write is refused.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// Lets appends under way finish, then closes the file. Every handle answers
    /// [`StoreError::Closed`] from then on.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.0.jobs.send(Job::Close(answer)).await.is_ok() {
            // An error means that the writer has ended before, which is as good.
            let _ = answered.await;
        }
        self.0.readers.close().await;
    }

    pub(crate) fn turn(&self) -> &std::sync::Arc<Turn> {
        &self.0.turn
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        let (answer, answered) = oneshot::channel();
        let job = Job::Append(append, answer);
        self.0
            .jobs
            .send(job)
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let mut reader = self.0.readers.acquire().await.map_err(store_error)?;
        Ok(crate::read::page(&mut reader, &read).await?)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        let mut reader = self.0.readers.acquire().await.map_err(store_error)?;
        let answers = crate::find::answers(&mut reader, &[&key.key]).await;
        let answers = answers.map_err(StoreError::from)?;
        answers
            .get(&key.key)
            .map(|answer| answer.again(key))
            .transpose()
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
