//! [`DocumentStore`]: the trait of a store for documents.

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::changes::DocumentChanges;
use super::error::DocumentError;
use super::revision::Revision;
use super::scan::{MAX_SCAN_BYTES, Scan};
use crate::error::StoreError;
use crate::json;

/// A JSON value with a key and a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The key, 1 to [`MAX_KEY`](crate::document::MAX_KEY) bytes without control characters.
    pub key: String,
    /// The revision of the last change.
    pub revision: Revision,
    /// The value as JSON text, at most [`MAX_VALUE`](crate::document::MAX_VALUE) bytes.
    pub value: String,
}

impl Document {
    /// Decodes the value.
    ///
    /// # Errors
    /// Returns [`StoreError::Corrupt`] with the key of the document if the value does not fit the type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.value)
            .map_err(|error| StoreError::Corrupt(format!("the document {:?}: {error}", self.key)))
    }
}

impl Scan {
    /// Returns the scan of the documents after `page`, or `None` if `page` is the last one.
    ///
    /// A page has fewer documents than the limit if it is the last one, or if its values have [`MAX_SCAN_BYTES`].
    #[must_use]
    pub fn next(&self, page: &[Document]) -> Option<Self> {
        let bytes: usize = page.iter().map(|document| document.value.len()).sum();
        let is_full = page.len() >= self.limit || bytes >= MAX_SCAN_BYTES;
        let last = page.last().filter(|_| is_full)?;
        Some(self.clone().after(&last.key))
    }
}

/// Encodes a value as the JSON text of a document.
///
/// # Errors
/// Returns [`StoreError::Failed`] if the value does not serialize, contains NaN or infinity, or is nested so deeply that it
/// could not be read.
pub fn encode_document(value: &impl Serialize) -> Result<String, StoreError> {
    json::to_string(value).map_err(|error| StoreError::Failed(error.into()))
}

/// Stores documents.
///
/// Documents contain state of the runtime. The facts of the domain belong in events.
#[async_trait]
pub trait DocumentStore: Send + Sync + 'static {
    /// Makes all changes or none, and returns the new revision of every changed document.
    ///
    /// When it returns `Ok`, the changes are durable and visible to every reader. If the future is dropped, either all
    /// changes or none were made, and the caller does not know which.
    ///
    /// # Errors
    /// - [`DocumentError::RevisionConflict`]: a document is not at its expected revision.
    /// - [`DocumentError::Invalid`]: the changes violate a rule that holds for every store.
    /// - [`DocumentError::Store`]: the backend failed.
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError>;

    /// Returns the documents with these keys that exist, in any order.
    ///
    /// # Errors
    /// Returns [`StoreError::Invalid`] if a key is not valid, and another error if the backend fails.
    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError>;

    /// Returns one page of a range of documents, in ascending byte order of their keys.
    ///
    /// The page ends at the limit of the scan, or with the document that raises the size of its values to
    /// [`MAX_SCAN_BYTES`]. [`Scan::next`] returns the scan of the next page.
    ///
    /// # Errors
    /// Returns [`StoreError::Invalid`] if the range is not valid, and another error if the backend fails.
    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError>;

    /// Returns the id of the liveness lock that this store holds while it is open; by default `None`.
    ///
    /// A liveness lock proves to other processes that a node is dead. The backend must release it when the process ends,
    /// however it ends, and must not release it before. The clones of a store share one lock.
    fn liveness_lock(&self) -> Option<Uuid> {
        None
    }

    /// Returns those of the liveness locks `ids` that are certainly released; by default none.
    ///
    /// The runtime takes over the leases of their nodes at once. It waits until the other leases expire.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store is closed. A lock that cannot be checked is not an error.
    async fn released_liveness_locks(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let _ = ids;
        Ok(Vec::new())
    }
}
