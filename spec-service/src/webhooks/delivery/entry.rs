//! The delivery log: the last attempts of each webhook.

use factum::store::{Document, DocumentChanges, DocumentStore, Scan, StoreError, encode_document};
use factum::{Position, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::webhooks::domain::WebhookId;

/// The number of attempts of a webhook that its log keeps.
pub const MAX_ENTRIES: u64 = 1_000;

/// An attempt to deliver an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryEntry {
    /// The number of the attempt among those of the webhook, from 1.
    pub number: u64,
    /// The id of the event, the value of the header `webhook-id`.
    pub event_id: Uuid,
    /// The event type.
    pub event_type: String,
    /// The id of the specification.
    pub spec_id: String,
    /// The position of the event.
    pub position: Position,
    /// The time of the attempt.
    pub at: Timestamp,
    /// The duration of the attempt in milliseconds.
    pub milliseconds: u64,
    /// The status code of the answer, if there was one.
    pub status: Option<u16>,
    /// The reason why there was no answer.
    pub error: Option<String>,
    /// The result.
    pub outcome: Outcome,
    /// Whether the event was delivered once more on request.
    pub replay: bool,
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver accepted the event.
    Delivered,
    /// The attempt failed, and the event is delivered again later.
    Failed,
    /// The attempt failed, and the event is not delivered again.
    GivenUp,
}

impl Outcome {
    /// Returns the name of the result.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

fn prefix(webhook: WebhookId) -> String {
    format!("webhooks/log/{}/", webhook.0)
}

fn key(webhook: WebhookId, number: u64) -> String {
    // So that the order of the keys is that of the numbers, newest first.
    format!("{}{:016x}", prefix(webhook), u64::MAX - number)
}

/// Returns the changes that add `entries` to the log, and remove entries that are too old.
///
/// # Errors
/// Returns an error if an entry cannot be encoded.
pub fn log_changes(
    webhook: WebhookId,
    entries: &[DeliveryEntry],
) -> Result<DocumentChanges, StoreError> {
    let mut changes = DocumentChanges::new();
    for entry in entries {
        changes = changes.put(key(webhook, entry.number), encode_document(entry)?);
        if let Some(oldest) = entry.number.checked_sub(MAX_ENTRIES).filter(|&it| it > 0) {
            changes = changes.delete(key(webhook, oldest));
        }
    }
    Ok(changes)
}

/// Returns up to `limit` attempts before the number `before`, newest first.
///
/// # Errors
/// Returns an error if the store cannot be read.
pub async fn read_log(
    documents: &(impl DocumentStore + ?Sized),
    webhook: WebhookId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<DeliveryEntry>, StoreError> {
    let mut scan = Scan::prefix(prefix(webhook)).limit(limit);
    if let Some(before) = before {
        scan = scan.after(key(webhook, before));
    }
    let found = documents.scan_documents(scan).await?;
    found.iter().map(Document::decode).collect()
}

/// Returns the attempt with this number.
///
/// # Errors
/// Returns an error if the store cannot be read.
pub async fn find_entry(
    documents: &(impl DocumentStore + ?Sized),
    webhook: WebhookId,
    number: u64,
) -> Result<Option<DeliveryEntry>, StoreError> {
    let found = documents.find_documents(&[key(webhook, number)]).await?;
    found.first().map(Document::decode).transpose()
}
