//! The start positions of new consumers: stored at the first start, so that no later start moves them.

use factum_core::document::{ChangeError, Changes, DocumentStore, Revision, encode};
use factum_core::error::{StoreError, error_chain};
use factum_core::position::Position;
use factum_engine::engine::RetryPolicy;
use tracing::warn;

use crate::consumer::{Checkpoint, lease_key};

/// Stores the start position `head` of each of these consumers, unless it is stored already.
pub async fn store_start_positions(
    documents: &dyn DocumentStore,
    consumers: &[String],
    head: Position,
    retry: &RetryPolicy,
) -> Result<(), StoreError> {
    for consumer in consumers {
        let mut failures = 0;
        loop {
            let error = match store_start_position(documents, consumer, head).await {
                Err(error @ (StoreError::Unavailable(_) | StoreError::Interrupted(_))) => error,
                stored => break stored?,
            };
            failures += 1;
            if failures >= retry.attempts {
                return Err(error);
            }
            let error = error_chain(&error);
            warn!(consumer, error, failures, "cannot store a start position, retrying");
            tokio::time::sleep(retry.pause(failures)).await;
        }
    }
    Ok(())
}

async fn store_start_position(
    documents: &dyn DocumentStore,
    consumer: &str,
    head: Position,
) -> Result<(), StoreError> {
    let checkpoint = Checkpoint {
        position: head,
        ..Checkpoint::default()
    };
    let key = lease_key(consumer, 1, 0);
    let start = Changes::new().put_if(key, Revision::ABSENT, encode(&checkpoint)?);
    match documents.change_documents(start).await {
        // Another start has stored it.
        Ok(_) | Err(ChangeError::Moved { .. }) => Ok(()),
        Err(error) => Err(error.into_store_error()),
    }
}
