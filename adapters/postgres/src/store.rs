//! [`PostgresStore`]: the handle, and its implementation of the store traits.

use std::fmt;
use std::sync::Arc;
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
use factum_core::read::{Page, Read};
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::store::EventStore;
use factum_core::stream_id::StreamId;
use factum_core::stream_list::{StreamList, StreamSummary};
use factum_core::timestamp::Timestamp;
use factum_sql::{
    BatchError, EventsOf, SqlConnection, SqlDatabase, SqlDatabaseExt, SqlProjectSet, SqlQuery,
    SqlReadModel, SqlText, TransactionWork,
};
use futures_util::FutureExt as _;
use sqlx::PgPool;
use sqlx::postgres::{PgConnection, PgListener};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tracing::warn;

use crate::error::{BackendError, store_error};
use crate::inline::Inline;
use crate::read_batcher::{self, ReadBatcher};
use crate::read_pool::ReadPool;
use crate::server::Server;
use crate::sql_transaction::{PostgresTransaction, ReadTransaction};
use crate::stream_ids::StreamIds;
use crate::transaction::BEGIN;
use crate::write_request::{Responder, WriteRequest};
use crate::writer::{QUEUE_CAPACITY, Writer, WriterMessage};
use crate::writer_cache::WriterCache;
use crate::{document, snapshot};

/// The statements that commit a transaction.
///
/// After an ignored error, `commit` rolls back and reports success, so a statement before it must succeed. sqlx ends
/// the chained transaction when the connection returns to the pool.
const COMMIT: &str = "select 1; commit and chain";

/// The time that [`PostgresStore::close`] waits for running statements.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The store was closed before the server answered.
#[derive(Debug, thiserror::Error)]
#[error("the store was closed, or its runtime ended, before the server answered")]
struct ClosedDuringAppend;

/// A store in a schema of a PostgreSQL database.
///
/// It is a handle: clones share their connections. The connections are closed with the last clone, or by
/// [`close`](Self::close).
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>);

struct Shared {
    writer: mpsc::Sender<WriterMessage>,
    writer_task: AbortHandle,
    /// Connections for read models, documents, snapshots and the statements of users.
    pool: PgPool,
    read_pool: ReadPool,
    stream_ids: StreamIds,
    read_batcher: Arc<ReadBatcher>,
    head: watch::Receiver<Position>,
    /// The names of the inline projections.
    inline_names: Vec<String>,
    metrics: StoreMetrics,
    event_types: EventTypeIndex,
}

/// The open connections that a store starts with.
pub struct StoreParts {
    pub writer_server: Server,
    pub writer: PgConnection,
    pub inline: Inline,
    pub pool: PgPool,
    pub read_pool: ReadPool,
    pub listener: PgListener,
}

impl PostgresStore {
    pub(crate) async fn start(parts: StoreParts) -> Result<Self, StoreError> {
        let sql = "select position from head";
        let head: i64 = sqlx::query_scalar(sql)
            .fetch_one(&parts.pool)
            .await
            .map_err(store_error)?;
        let (sender, head) = watch::channel(Position::new(head as u64));
        let sender = Arc::new(sender);
        let (keep_listening, stop_listening) = oneshot::channel();
        let listener = tokio::spawn(crate::watch::listen(
            parts.listener,
            parts.pool.clone(),
            sender.clone(),
            stop_listening,
        ));
        let (writer, inbox) = mpsc::channel(QUEUE_CAPACITY);
        let inline_names = parts.inline.names();
        let metrics = StoreMetrics::new("postgres");
        let writer_task = Writer {
            server: parts.writer_server,
            connection: Some(parts.writer),
            cache: WriterCache::new(*head.borrow()),
            inline: parts.inline,
            head: sender,
            metrics: metrics.clone(),
            keep_listening,
            listener,
        };
        let writer_task = tokio::spawn(writer_task.run(inbox)).abort_handle();
        Ok(Self(Arc::new(Shared {
            writer,
            writer_task,
            pool: parts.pool,
            read_pool: parts.read_pool,
            stream_ids: StreamIds::new(),
            read_batcher: Arc::default(),
            head,
            inline_names,
            metrics,
            event_types: EventTypeIndex::new(),
        })))
    }

    /// Returns a connection pool whose search path is the schema of the store.
    ///
    /// The store uses its connections for documents and snapshots, too: do not change the settings of a session, except
    /// with `set local`.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// Returns the read model of `projection`, in tables of the store's schema.
    #[must_use]
    pub fn read_model<P: SqlProjectSet<EventsOf<P>>>(&self, projection: P) -> SqlReadModel {
        SqlDatabaseExt::read_model(self, projection)
    }

    /// Starts a query that reads the schema, in a separate transaction.
    ///
    /// Use the plain names of tables: they are views of the active builds. The text is a constant, or a
    /// [`TrustedSql`](crate::TrustedSql).
    ///
    /// ```
    /// # async fn show(store: factum_postgres::PostgresStore) -> Result<(), factum_postgres::SqlError> {
    /// let events: i64 = store.query("select count(*) from events").fetch_one().await?;
    /// # Ok(()) }
    /// ```
    pub fn query(&self, sql: impl SqlText) -> SqlQuery<'_> {
        SqlDatabaseExt::query(self, sql)
    }

    /// Waits for running appends, then closes the connections.
    ///
    /// From then on every handle returns [`StoreError::Closed`]. After five seconds, it waits no longer: appends that have
    /// no result yet return [`StoreError::Interrupted`], and connections that are in use are closed when they are
    /// returned. Closing the [pool](Self::pool) closes the store as well.
    pub async fn close(&self) {
        let close = async {
            let (sender, closed) = oneshot::channel();
            let message = WriterMessage::Close(sender);
            if self.0.writer.send(message).await.is_ok() {
                // An error means that the writer has already ended.
                let _ = closed.await;
            }
            self.0.read_pool.close().await;
            self.0.pool.close().await;
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, close).await.is_err() {
            warn!("store closed while statements were running; their outcome is unknown");
            self.0.writer_task.abort();
            // Marks the pools as closed; connections in use are closed later.
            let _ = self.0.read_pool.close().now_or_never();
            let _ = self.0.pool.close().now_or_never();
        }
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        check_outside_projection()?;
        let (responder, response) = Responder::new();
        let request = WriteRequest { append, responder };
        self.0
            .writer
            .send(WriterMessage::Write(request))
            .await
            .map_err(|_| StoreError::Closed)?;
        match response.await {
            Ok(result) => result,
            // The writer has answered the appends that it had not begun.
            Err(_) => Err(StoreError::Interrupted(ClosedDuringAppend.into()).into()),
        }
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        read.check()?;
        let Shared {
            read_pool,
            stream_ids,
            read_batcher,
            metrics,
            ..
        } = &*self.0;
        if let Some(stream) = read_batcher::stream_to_batch(&read) {
            let page = read_batcher.page(read_pool, &read, stream).await;
            if let Some(page) = page.map_err(BackendError::into_not_executed)? {
                metrics.record_page(&page);
                return Ok(page);
            }
        }
        let mut reader = read_pool.acquire().await?;
        let mut page = crate::read::page(&mut reader.connection, stream_ids, &read).await;
        if reader.reconnect_if_stale(&page).await? {
            page = crate::read::page(&mut reader.connection, stream_ids, &read).await;
        }
        reader.release(&page);
        let page = page.map_err(BackendError::into_not_executed)?;
        metrics.record_page(&page);
        Ok(page)
    }

    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        append.check()?;
        crate::import::import(&self.0.pool, &append, recorded_at).await?
    }

    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        crate::stream_list::list(&self.0.pool, &list).await
    }

    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        crate::event_type_list::list(&self.0.pool, &self.0.event_types, &list).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        key.check().map_err(InvalidAppend::from)?;
        let mut reader = self.0.read_pool.acquire().await?;
        let mut found = crate::idempotency_key::find(&mut reader.connection, key).await;
        if reader.reconnect_if_stale(&found).await? {
            found = crate::idempotency_key::find(&mut reader.connection, key).await;
        }
        reader.release(&found);
        found.map_err(BackendError::into_not_executed)?
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.head.clone()
    }
}

#[async_trait]
impl DocumentStore for PostgresStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        changes.check()?;
        check_outside_projection()?;
        let mut connection = self.0.pool.acquire().await.map_err(store_error)?;
        document::change_and_commit(&mut connection, &changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        check_keys(keys)?;
        document::find(&self.0.pool, keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        scan.check()?;
        document::scan(&self.0.pool, &scan).await
    }
}

#[async_trait]
impl SnapshotStore for PostgresStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        check_outside_projection()?;
        snapshot.check()?;
        snapshot::save(&self.0.pool, &snapshot).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        snapshot::load(&self.0.pool, stream).await
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        check_outside_projection()?;
        snapshot::clear(&self.0.pool).await
    }
}

#[async_trait]
impl SqlDatabase for PostgresStore {
    async fn begin_read(&self) -> Result<Box<dyn SqlConnection>, StoreError> {
        let sql = "begin isolation level repeatable read, read only";
        let begun = self.0.pool.begin_with(sql).await;
        Ok(Box::new(ReadTransaction(begun.map_err(store_error)?)))
    }

    fn is_inline(&self, name: &str) -> bool {
        self.0.inline_names.iter().any(|inline| inline == name)
    }

    async fn transaction(&self, work: TransactionWork) -> Result<Revision, BatchError> {
        check_outside_projection()?;
        let begun = self.0.pool.begin_with(BEGIN).await;
        let mut transaction = begun.map_err(store_error)?;
        let mut db = PostgresTransaction::new(&mut transaction, &self.0.stream_ids);
        let revision = work(&mut db).await?;
        let committed = sqlx::raw_sql(COMMIT).execute(&mut *transaction).await;
        committed.map_err(|error| StoreError::from(BackendError::from(error)))?;
        Ok(revision)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("head", &*self.0.head.borrow())
            .finish_non_exhaustive()
    }
}
