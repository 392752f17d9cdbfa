//! Checks that the tables of read models are in the database of the events.

use std::sync::Arc;

use factum_core::document::{DocumentChanges, DocumentError, DocumentStore};
use factum_core::error::{StoreError, error_chain};
use factum_core::event_id::new_event_id;
use factum_engine::engine::RetryPolicy;
use tracing::warn;

use super::start_error::StartError;
use super::start_positions::retry_unavailable;

/// Checks that each database of a projection contains the documents of `store`.
///
/// It stores a document with a random key, which only the same database contains, and deletes it again.
pub async fn check_databases(
    store: &dyn DocumentStore,
    databases: &[(String, Arc<dyn DocumentStore>)],
    retry: &RetryPolicy,
) -> Result<(), StartError> {
    if databases.is_empty() {
        return Ok(());
    }
    let keys = [format!("database-check/{}", new_event_id())];
    let put = || async {
        let put = DocumentChanges::new().put(&keys[0], "null");
        let changed = store.change_documents(put).await;
        changed.map(drop).map_err(DocumentError::into_store_error)
    };
    retry_unavailable(retry, put).await?;
    let checked = find_other(databases, &keys, retry).await;
    let delete = DocumentChanges::new().delete(&keys[0]);
    if let Err(error) = store.change_documents(delete).await {
        let (error, key) = (error_chain(&error), &keys[0]);
        warn!(error, key, "cannot delete the document of the start check");
    }
    match checked? {
        None => Ok(()),
        Some(name) => Err(StartError::OtherDatabase { name }),
    }
}

/// Returns the name of the first projection whose database does not contain the document.
async fn find_other(
    databases: &[(String, Arc<dyn DocumentStore>)],
    keys: &[String],
    retry: &RetryPolicy,
) -> Result<Option<String>, StoreError> {
    for (name, documents) in databases {
        let found = retry_unavailable(retry, || documents.find_documents(keys)).await?;
        if found.is_empty() {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}
