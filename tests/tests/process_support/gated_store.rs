//! [`Shut`]: a store that nobody reads on in for a while.

use std::sync::Arc;

use factum::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum::{
    Append, AppendError, Appended, Direction, EventStore, IdempotencyKey, Page, Position, Read,
    Scope, StoreError,
};
use factum_memory::MemoryStore;
use tokio::sync::watch;

/// A store whose events are not read on while it is shut, and that counts how often it was looked what is due.
#[derive(Clone)]
pub(crate) struct Shut {
    store: MemoryStore,
    pub(crate) shut: Arc<watch::Sender<bool>>,
    pub(crate) looks: Arc<watch::Sender<u64>>,
}

impl Shut {
    pub(crate) fn new(store: &MemoryStore) -> Self {
        Self {
            store: store.clone(),
            shut: Arc::default(),
            looks: Arc::default(),
        }
    }
}

#[factum::async_trait]
impl EventStore for Shut {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        if read.direction == Direction::Forward && matches!(read.scope, Scope::All(_)) {
            let mut shut = self.shut.subscribe();
            shut.wait_for(|shut| !shut).await.unwrap();
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

#[factum::async_trait]
impl DocumentStore for Shut {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        if scan.prefix == "process/shop/due/" {
            self.looks.send_modify(|looks| *looks += 1);
        }
        self.store.scan_documents(scan).await
    }
}

factum::delegate!(snapshots, [] Shut, |this| this.store);
