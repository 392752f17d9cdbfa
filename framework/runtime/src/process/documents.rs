//! Reads and changes the documents of process instances.

use factum_core::document::{DocumentChanges, DocumentError, DocumentStore, Revision};
use factum_core::error::StoreError;
use factum_engine::process::instance::{InstanceKeys, ProcessInstance};

/// Reads a process instance and its revision, if it exists.
///
/// # Errors
/// Returns [`StoreError`] if the store fails or the document cannot be decoded.
pub async fn find_instance(
    documents: &dyn DocumentStore,
    keys: &InstanceKeys,
    id: &str,
) -> Result<Option<(Revision, ProcessInstance)>, StoreError> {
    let found = documents.find_documents(&[keys.instance(id)]).await?;
    let Some(document) = found.first() else {
        return Ok(None);
    };
    Ok(Some((document.revision, document.decode()?)))
}

/// The result of a change of documents.
pub enum Changed {
    /// The changes were made.
    Yes(Revision),
    /// The document with this key has another revision.
    Conflict(String),
}

impl Changed {
    /// Returns whether the changes were made.
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

/// Makes the changes, if no document has another revision than required.
pub async fn try_change(
    documents: &dyn DocumentStore,
    changes: DocumentChanges,
) -> Result<Changed, StoreError> {
    match documents.change_documents(changes).await {
        Ok(revision) => Ok(Changed::Yes(revision)),
        Err(DocumentError::RevisionConflict { key, .. }) => Ok(Changed::Conflict(key)),
        Err(error) => Err(error.into_store_error()),
    }
}
