//! The start positions of new consumers: stored at the first start, so that no later start moves them.

use factum_core::document::{DocumentChanges, DocumentError, Revision, encode_document};
use factum_core::error::{StoreError, error_chain};
use factum_core::position::Position;
use factum_core::store::Store;
use factum_engine::engine::RetryPolicy;
use tracing::warn;

use crate::consumer::{Checkpoint, lease_key};
use crate::process::read_head;

/// Stores the end of the log as the start position of each of these consumers.
///
/// A consumer that already has a start position keeps it. Returns the end of the log.
pub async fn store_start_positions(
    store: &dyn Store,
    consumers: &[String],
    retry: &RetryPolicy,
) -> Result<Position, StoreError> {
    if consumers.is_empty() {
        return Ok(Position::ZERO);
    }
    let head = retry_unavailable(retry, || read_head(store)).await?;
    for consumer in consumers {
        retry_unavailable(retry, || store_start_position(store, consumer, head)).await?;
    }
    Ok(head)
}

/// Repeats `operation` while the store is unavailable, as often as `retry` allows.
async fn retry_unavailable<T, F: Future<Output = Result<T, StoreError>>>(
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
            failures, "cannot store the start positions, retrying"
        );
        tokio::time::sleep(retry.pause(failures)).await;
    }
}

async fn store_start_position(
    documents: &dyn Store,
    consumer: &str,
    head: Position,
) -> Result<(), StoreError> {
    let checkpoint = Checkpoint {
        position: head,
        ..Checkpoint::default()
    };
    let key = lease_key(consumer, 1, 0);
    let start = DocumentChanges::new().put_if(key, Revision::ABSENT, encode_document(&checkpoint)?);
    match documents.change_documents(start).await {
        // Another start has stored it.
        Ok(_) | Err(DocumentError::RevisionConflict { .. }) => Ok(()),
        Err(error) => Err(error.into_store_error()),
    }
}
