//! The implementation of [`DocumentStore`].

use async_trait::async_trait;
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan,
};
use factum_core::error::StoreError;

use crate::MemoryStore;

#[async_trait]
impl DocumentStore for MemoryStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.documents().change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.documents().find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.documents().scan_documents(scan).await
    }
}
