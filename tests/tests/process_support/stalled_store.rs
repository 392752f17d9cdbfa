//! [`Still`]: a store as a program sees it that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use factum::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, Read, StoreError,
};
use factum_memory::MemoryStore;
use tokio::sync::watch;

/// A store as it is for a program that stands still in the middle of its first append under a key, or of the first change
/// of a document of a kind, until it goes on.
#[derive(Clone)]
pub(crate) struct Still {
    store: MemoryStore,
    /// The kind.
    document: Option<&'static str>,
    met: Arc<AtomicBool>,
    pub(crate) still: Arc<watch::Sender<bool>>,
}

impl Still {
    pub(crate) fn at(store: &MemoryStore, document: Option<&'static str>) -> Self {
        Self {
            store: store.clone(),
            document,
            met: Arc::default(),
            still: Arc::default(),
        }
    }

    fn meets(&self) {
        if !self.met.swap(true, SeqCst) {
            self.still.send_replace(true);
        }
    }

    async fn going(&self) {
        let mut still = self.still.subscribe();
        still.wait_for(|still| !still).await.unwrap();
    }
}

#[factum::async_trait]
impl EventStore for Still {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.key.is_some() && self.document.is_none() {
            self.meets();
        }
        self.going().await;
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.going().await;
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.going().await;
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

#[factum::async_trait]
impl DocumentStore for Still {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        let mut keys = changes.as_slice().iter().map(|change| &change.key);
        if self
            .document
            .is_some_and(|kind| keys.any(|key| key.contains(kind)))
        {
            self.meets();
        }
        self.going().await;
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.going().await;
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.going().await;
        self.store.scan_documents(scan).await
    }
}

factum::delegate!(snapshots, [] Still, |this| this.store);
