//! [`StalledStore`]: the store of a node that is stalled, as by a long pause of its process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use factum::Position;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Read, StoreError,
};
use factum::store::{Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan};
use factum_memory::MemoryStore;
use tokio::sync::watch;

/// A store that stalls before its first keyed append, or before the first change of certain documents.
///
/// While [`stalled`](Self::stalled) is set, no call returns.
#[derive(Clone)]
pub(crate) struct StalledStore {
    store: MemoryStore,
    /// A part of the document keys whose first change stalls the store; `None` for the first keyed append.
    document: Option<&'static str>,
    triggered: Arc<AtomicBool>,
    pub(crate) stalled: Arc<watch::Sender<bool>>,
}

impl StalledStore {
    pub(crate) fn new(store: &MemoryStore, document: Option<&'static str>) -> Self {
        Self {
            store: store.clone(),
            document,
            triggered: Arc::default(),
            stalled: Arc::default(),
        }
    }

    fn stall_once(&self) {
        if !self.triggered.swap(true, SeqCst) {
            self.stalled.send_replace(true);
        }
    }

    async fn wait_while_stalled(&self) {
        let mut stalled = self.stalled.subscribe();
        stalled.wait_for(|stalled| !stalled).await.unwrap();
    }
}

#[factum::store::async_trait]
impl EventStore for StalledStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.key.is_some() && self.document.is_none() {
            self.stall_once();
        }
        self.wait_while_stalled().await;
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.wait_while_stalled().await;
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.wait_while_stalled().await;
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

#[factum::store::async_trait]
impl DocumentStore for StalledStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        let mut keys = changes.as_slice().iter().map(|change| &change.key);
        if self
            .document
            .is_some_and(|part| keys.any(|key| key.contains(part)))
        {
            self.stall_once();
        }
        self.wait_while_stalled().await;
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.wait_while_stalled().await;
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.wait_while_stalled().await;
        self.store.scan_documents(scan).await
    }
}

factum::store::delegate!(snapshots, [] StalledStore, |this| this.store);
