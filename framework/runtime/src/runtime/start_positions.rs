//! Stores the start positions of new process managers and event handlers, so that no later start moves them.
//!
//! A projection always starts at the first event.

use factum_core::document::{Document, DocumentChanges, DocumentError, Revision, encode_document};
use factum_core::error::{StoreError, error_chain};
use factum_core::position::Position;
use factum_core::store::Store;
use factum_engine::engine::RetryPolicy;
use tracing::warn;

use crate::consumer::{Checkpoint, lease_key};
use crate::log_head::read_head;
use crate::start_from::StartFrom;

/// The maximum number of consumers whose start positions are stored in one change.
const MAX_CHANGED: usize = 100;

/// Stores the start position of each of these consumers that is new.
///
/// A consumer that already has a start position keeps it. Returns the end of the log.
pub async fn store_start_positions(
    store: &dyn Store,
    consumers: &[(String, StartFrom)],
    retry: &RetryPolicy,
) -> Result<Position, StoreError> {
    if consumers.is_empty() {
        return Ok(Position::ZERO);
    }
    let head = retry_unavailable(retry, || read_head(store)).await?;
    for consumers in consumers.chunks(MAX_CHANGED) {
        retry_unavailable(retry, || store_missing(store, consumers, head)).await?;
    }
    Ok(head)
}

/// Repeats `operation` while the store is unavailable, as often as `retry` allows.
pub async fn retry_unavailable<T, F: Future<Output = Result<T, StoreError>>>(
    retry: &RetryPolicy,
    operation: impl Fn() -> F,
) -> Result<T, StoreError> {
    let mut failures = 0;
    loop {
        let error = match operation().await {
            Err(error @ (StoreError::Unavailable(_) | StoreError::Interrupted(_))) => error,
            result => return result,
        };
        failures += 1;
        if failures >= retry.attempts {
            return Err(error);
        }
        let error = error_chain(&error);
        warn!(
            error,
            failures, "the store is unavailable at the start, retrying"
        );
        tokio::time::sleep(retry.pause(failures)).await;
    }
}

/// Stores the start positions that are missing, in one change.
async fn store_missing(
    documents: &dyn Store,
    consumers: &[(String, StartFrom)],
    head: Position,
) -> Result<(), StoreError> {
    let keys = consumers.iter().map(|(name, _)| lease_key(name, 1, 0));
    let keys: Vec<String> = keys.collect();
    let mut found = Vec::new();
    loop {
        let mut changes = DocumentChanges::new();
        for ((_, start_from), key) in consumers.iter().zip(&keys) {
            if found.iter().all(|document: &Document| document.key != *key) {
                let checkpoint = Checkpoint {
                    position: start_from.position(head),
                    ..Checkpoint::default()
                };
                changes = changes.put_if(key, Revision::ABSENT, encode_document(&checkpoint)?);
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        match documents.change_documents(changes).await {
            Ok(_) => return Ok(()),
            // An earlier start, or another node, has stored some of them.
            Err(DocumentError::RevisionConflict { .. }) => {
                found = documents.find_documents(&keys).await?;
            }
            Err(error) => return Err(error.into_store_error()),
        }
    }
}
