//! The conformance suite for a store with an inline projection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod adapter;
#[path = "../../../framework/sql/tests/shared/tally.rs"]
mod tally;

use factum::Position;
use factum::store::async_trait;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Read, StoreError,
};
use factum::store::{Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan};
use factum_sqlite::{SqliteOptions, SqliteStore};
use factum_testkit::Backend;
use tally::{Sums, build};
use tempfile::TempDir;
use tokio::sync::watch;

struct File(TempDir);

/// The store without the documents of its projection.
#[derive(Clone)]
struct Inline(SqliteStore);

impl Backend for File {
    type Store = Inline;

    async fn create() -> Self {
        let file = Self(tempfile::tempdir().expect("a temporary directory"));
        let store = file.open().await.0;
        build::<1>(&store).await;
        store.close().await;
        file
    }

    async fn open(&self) -> Inline {
        let options = SqliteOptions::new(self.0.path().join("conformance.db"));
        Inline(
            options
                .inline(Sums::<1>)
                .open()
                .await
                .expect("the store opens"),
        )
    }
}

#[async_trait]
impl EventStore for Inline {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.0.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.0.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.watch()
    }
}

#[async_trait]
impl DocumentStore for Inline {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.0.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.0.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        let mut found = self.0.scan_documents(scan).await?;
        found.retain(|document| !document.key.contains("/sums"));
        Ok(found)
    }
}

factum_core::delegate!(snapshots, [] Inline, |this| this.0);
factum_testkit::conformance_suite!(File);
