//! [`ProgressLease`]: the right of a node to deliver the events of a webhook.
//!
//! It is stored in one document with the progress.
//! The revision of the document is the fencing token: a node that was paused for too long can no longer write.

use std::time::Duration;

use factum::Timestamp;
use factum::store::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan, StoreError,
    encode_document,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entry::{DeliveryEntry, log_changes};
use super::progress::Progress;
use crate::webhooks::domain::WebhookId;

/// The time after which another node can take over from a node that has stopped.
pub const LEASE: Duration = Duration::from_secs(15);

/// The content of the document.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredProgress {
    holder: Option<DeliveringNode>,
    progress: Progress,
}

/// The node that delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DeliveringNode {
    node: Uuid,
    /// The liveness lock of the node's store, if the store has one.
    ///
    /// Its release proves that the node has ended.
    lock: Option<Uuid>,
    until: Timestamp,
}

/// The lease of a webhook that this node holds.
pub struct ProgressLease {
    webhook: WebhookId,
    node: Uuid,
    lock: Option<Uuid>,
    revision: Revision,
    until: Timestamp,
}

/// The error of a write with a lease.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Another node has taken over, or the webhook is deleted.
    #[error("another node delivers the events of the webhook")]
    Lost,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn key(webhook: WebhookId) -> String {
    format!("webhooks/progress/{}", webhook.0)
}

impl ProgressLease {
    /// Acquires the lease. Returns `None` if another node holds it.
    ///
    /// A webhook without progress starts with `start`.
    ///
    /// # Errors
    /// Returns an error if the store fails, or contains a document that cannot be decoded.
    pub async fn acquire(
        documents: &(impl DocumentStore + ?Sized),
        webhook: WebhookId,
        node: Uuid,
        start: Progress,
    ) -> Result<Option<(Self, Progress)>, StoreError> {
        let found = documents.find_documents(&[key(webhook)]).await?;
        let (revision, stored) = match found.first() {
            Some(document) => (document.revision, decode(document)?),
            None => (
                Revision::ABSENT,
                StoredProgress {
                    holder: None,
                    progress: start,
                },
            ),
        };
        if let Some(holder) = stored.holder.filter(|holder| holder.node != node)
            && Timestamp::now() < holder.until
            && !is_released(documents, holder.lock).await?
        {
            return Ok(None);
        }
        let mut lease = Self {
            webhook,
            node,
            lock: documents.liveness_lock(),
            revision,
            until: Timestamp::now(),
        };
        match lease.save(documents, &stored.progress, &[]).await {
            Ok(()) => Ok(Some((lease, stored.progress))),
            Err(SaveError::Lost) => Ok(None),
            Err(SaveError::Store(error)) => Err(error),
        }
    }

    /// Returns whether the lease must be renewed soon.
    pub fn is_aging(&self) -> bool {
        self.until.since(Timestamp::now()) < LEASE / 2
    }

    /// Stores the progress with new entries of the delivery log, and renews the lease.
    ///
    /// # Errors
    /// Returns [`SaveError::Lost`] if another node has taken over, or an error of the store.
    pub async fn save(
        &mut self,
        documents: &(impl DocumentStore + ?Sized),
        progress: &Progress,
        entries: &[DeliveryEntry],
    ) -> Result<(), SaveError> {
        let until = Timestamp::now() + LEASE;
        let (node, lock) = (self.node, self.lock);
        let holder = Some(DeliveringNode { node, lock, until });
        self.write(documents, holder, progress, entries).await?;
        self.until = until;
        Ok(())
    }

    /// Stores the progress, so that another node can continue at once.
    ///
    /// # Errors
    /// Returns [`SaveError::Lost`] if another node has taken over, or an error of the store.
    pub async fn release(
        mut self,
        documents: &(impl DocumentStore + ?Sized),
        progress: &Progress,
        entries: &[DeliveryEntry],
    ) -> Result<(), SaveError> {
        self.write(documents, None, progress, entries).await
    }

    async fn write(
        &mut self,
        documents: &(impl DocumentStore + ?Sized),
        holder: Option<DeliveringNode>,
        progress: &Progress,
        entries: &[DeliveryEntry],
    ) -> Result<(), SaveError> {
        let progress = progress.clone();
        let stored = encode_document(&StoredProgress { holder, progress })?;
        let changes = DocumentChanges::new()
            .put_if(key(self.webhook), self.revision, stored)
            .with(log_changes(self.webhook, entries)?);
        match documents.change_documents(changes).await {
            Ok(revision) => {
                self.revision = revision;
                Ok(())
            }
            Err(DocumentError::RevisionConflict { .. }) => Err(SaveError::Lost),
            Err(error) => Err(SaveError::Store(error.into_store_error())),
        }
    }
}

fn decode(document: &Document) -> Result<StoredProgress, StoreError> {
    document.decode()
}

async fn is_released(
    documents: &(impl DocumentStore + ?Sized),
    lock: Option<Uuid>,
) -> Result<bool, StoreError> {
    match lock {
        None => Ok(false),
        Some(lock) => Ok(!documents.released_liveness_locks(&[lock]).await?.is_empty()),
    }
}

/// Deletes the progress and the delivery log of a deleted webhook.
///
/// # Errors
/// Returns an error if the store fails.
pub async fn delete_progress(
    documents: &(impl DocumentStore + ?Sized),
    webhook: WebhookId,
) -> Result<(), StoreError> {
    let log = Scan::prefix(format!("webhooks/log/{}/", webhook.0));
    let mut changes = DocumentChanges::new().delete(key(webhook));
    for document in documents.scan_documents(log).await? {
        changes = changes.delete(document.key);
    }
    let deleted = documents.change_documents(changes).await;
    deleted.map(drop).map_err(DocumentError::into_store_error)
}
