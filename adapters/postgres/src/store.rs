//! [`PostgresStore`]: the handle, and what it asks the writer and the readers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use factum::metrics::StoreMetrics;
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, Read, StoreError,
};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener};
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::{Fault, store_error};
use crate::gather::{self, Gathering};
use crate::inline::Inlines;
use crate::job::{Answer, Job};
use crate::known::Known;
use crate::names::Names;
use crate::readers::Readers;
use crate::writer::{QUEUE, Writer};

/// A store in a schema of a PostgreSQL database. A handle: clones share their connections, which are closed with
/// the last of them, or by [`close`](Self::close).
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>);

struct Shared {
    jobs: mpsc::Sender<Job>,
    /// For read models, and whoever else is a user of the database.
    pool: PgPool,
    readers: Readers,
    names: Names,
    gathering: Arc<Gathering>,
    head: watch::Receiver<Position>,
    metrics: StoreMetrics,
}

impl PostgresStore {
    pub(crate) async fn start(
        server: PgConnectOptions,
        (writer, inlines): (PgConnection, Inlines),
        (pool, readers): (PgPool, Readers),
        listener: PgListener,
    ) -> Result<Self, StoreError> {
        let sql = "select position from head";
        let head: i64 = sqlx::query_scalar(sql)
            .fetch_one(&pool)
            .await
            .map_err(store_error)?;
        let (sender, head) = watch::channel(Position::new(head as u64));
        let sender = Arc::new(sender);
        let (alive, ended) = oneshot::channel();
        let listener = tokio::spawn(crate::watch::listen(
            listener,
            pool.clone(),
            sender.clone(),
            ended,
        ));
        let (jobs, inbox) = mpsc::channel(QUEUE);
        let metrics = StoreMetrics::new("postgres");
        let writer = Writer {
            server,
            connection: Some(writer),
            known: Known::new(*head.borrow()),
            inlines,
            head: sender,
            metrics: metrics.clone(),
            alive,
            listener,
        };
        tokio::spawn(writer.run(inbox));
        Ok(Self(Arc::new(Shared {
            jobs,
            pool,
            readers,
            names: Names::new(),
            gathering: Arc::default(),
            head,
            metrics,
        })))
    }

    /// Connections to the database, with the store's schema as their path.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// Lets appends under way finish, then closes the connections. Every handle answers
    /// [`StoreError::Closed`] from then on.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.0.jobs.send(Job::Close(answer)).await.is_ok() {
            // An error means that the writer has ended before, which is as good.
            let _ = answered.await;
        }
        self.0.readers.close().await;
        self.0.pool.close().await;
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        let (answer, answered) = oneshot::channel();
        let job = Job::Append(append, Answer::new(answer));
        self.0
            .jobs
            .send(job)
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let Shared {
            readers,
            names,
            gathering,
            metrics,
            ..
        } = &*self.0;
        if let Some(stream) = gather::stream_of(&read) {
            let page = gathering.page(readers, (&read, stream)).await;
            if let Some(page) = page.map_err(Fault::in_vain)? {
                metrics.read(&page);
                return Ok(page);
            }
        }
        let mut reader = readers.take().await?;
        let mut page = crate::read::page(&mut reader.connection, names, &read).await;
        if reader.renew(&page).await? {
            page = crate::read::page(&mut reader.connection, names, &read).await;
        }
        reader.leave(&page);
        let page = page.map_err(Fault::in_vain)?;
        metrics.read(&page);
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        let mut reader = self.0.readers.take().await?;
        let mut found = crate::find::find(&mut reader.connection, key).await;
        if reader.renew(&found).await? {
            found = crate::find::find(&mut reader.connection, key).await;
        }
        reader.leave(&found);
        found.map_err(Fault::in_vain)?
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.head.clone()
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("head", &*self.0.head.borrow())
            .finish_non_exhaustive()
    }
}
