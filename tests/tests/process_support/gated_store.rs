//! [`GatedStore`]: a store whose log cannot be read while a gate is closed.

use std::sync::Arc;

use factum::Position;
use factum::store::{
    Append, AppendError, Appended, Direction, EventStore, IdempotencyKey, Page, Read, Scope,
    StoreError,
};
use factum::store::{Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan};
use factum_memory::MemoryStore;
use tokio::sync::watch;

/// A store that blocks reads of the log while it is closed, and counts scans for due work.
#[derive(Clone)]
pub(crate) struct GatedStore {
    store: MemoryStore,
    pub(crate) closed: Arc<watch::Sender<bool>>,
    pub(crate) scans: Arc<watch::Sender<u64>>,
}

impl GatedStore {
    pub(crate) fn new(store: &MemoryStore) -> Self {
        Self {
            store: store.clone(),
            closed: Arc::default(),
            scans: Arc::default(),
        }
    }
}

#[factum::store::async_trait]
impl EventStore for GatedStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        if read.direction == Direction::Forward && matches!(read.scope, Scope::All(_)) {
            let mut closed = self.closed.subscribe();
            closed.wait_for(|closed| !closed).await.unwrap();
        }
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

#[factum::store::async_trait]
impl DocumentStore for GatedStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        if scan.prefix == "process/shop/due/" {
            self.scans.send_modify(|scans| *scans += 1);
        }
        self.store.scan_documents(scan).await
    }
}

factum::store::delegate!(snapshots, [] GatedStore, |this| this.store);
