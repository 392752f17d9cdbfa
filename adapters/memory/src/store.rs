//! [`MemoryStore`]: the handle, and its implementation of [`EventStore`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use factum_core::append::{Append, AppendError, Appended, IdempotencyKey, InvalidAppend};
use factum_core::document::MemoryDocuments;
use factum_core::error::StoreError;
use factum_core::metrics::{Stopwatch, StoreMetrics};
use factum_core::position::Position;
use factum_core::read::{Page, Read};
use factum_core::snapshot::Snapshot;
use factum_core::store::EventStore;
use factum_core::stream_id::StreamId;
use factum_core::stream_list::{StreamList, StreamSummary};
use factum_core::timestamp::Timestamp;
use tokio::sync::watch;

use crate::log::Log;

/// A store in memory.
///
/// It is a handle: clones share the events, which are dropped with the last clone.
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    log: RwLock<Log>,
    snapshots: RwLock<HashMap<StreamId, Snapshot>>,
    documents: MemoryDocuments,
    head: watch::Sender<Position>,
    metrics: StoreMetrics,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            log: RwLock::default(),
            snapshots: RwLock::default(),
            documents: MemoryDocuments::new(),
            head: watch::Sender::new(Position::ZERO),
            metrics: StoreMetrics::new("memory"),
        }))
    }

    fn log(&self) -> RwLockReadGuard<'_, Log> {
        self.0.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn documents(&self) -> &MemoryDocuments {
        &self.0.documents
    }

    pub(crate) fn snapshots(&self) -> RwLockWriteGuard<'_, HashMap<StreamId, Snapshot>> {
        self.0
            .snapshots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("head", &self.log().head())
            .finish()
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.append_at(append, Timestamp::now())
    }

    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.append_at(append, recorded_at.min(Timestamp::now()))
    }

    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        Ok(self.log().list_streams(&list))
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        read.check()?;
        let page = self.log().read(&read);
        self.0.metrics.record_page(&page);
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        key.check().map_err(InvalidAppend::from)?;
        self.log().find(key)
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.head.subscribe()
    }
}

impl MemoryStore {
    /// Stores `append` with the time `now`, or that of the newest event if it is later.
    fn append_at(&self, append: Append, now: Timestamp) -> Result<Appended, AppendError> {
        append.check()?;
        let started = Stopwatch::start();
        let result = self.append_checked(append, now);
        self.0.metrics.record_commit([&result], started);
        result
    }

    fn append_checked(&self, append: Append, now: Timestamp) -> Result<Appended, AppendError> {
        let mut log = self.0.log.write().unwrap_or_else(PoisonError::into_inner);
        let appended = log.append(append, &self.0.documents, now)?;
        // Under the lock, so that receivers see the head advance in order.
        if appended.count > 0 && !appended.repeated {
            let head = &self.0.head;
            head.send_if_modified(|position| {
                *position = appended.position;
                // Notifying takes time even without receivers.
                head.receiver_count() > 0
            });
        }
        Ok(appended)
    }
}
