//! The implementation of [`DocumentStore`], which refuses every call.

use async_trait::async_trait;
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan,
};
use factum_core::error::StoreError;

use crate::open::CompatibleStore;

/// The protocol cannot change several documents together, or a document together with events.
const UNSUPPORTED: StoreError = StoreError::Unsupported {
    operation: "documents",
};

#[async_trait]
impl DocumentStore for CompatibleStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        changes.check()?;
        Err(UNSUPPORTED.into())
    }

    async fn find_documents(&self, _keys: &[String]) -> Result<Vec<Document>, StoreError> {
        Err(UNSUPPORTED)
    }

    async fn scan_documents(&self, _scan: Scan) -> Result<Vec<Document>, StoreError> {
        Err(UNSUPPORTED)
    }
}
