//! [`DeadLetterDocument`]: an event that failed permanently, listed, retried and discarded.

use std::collections::BTreeMap;

use factum::store::{
    DocumentChanges, DocumentStore, EventStore, MAX_SCAN, Query, Read, RecordedEvent, Revision,
    Scan, Store, StoreError, encode_document,
};
use factum::{Position, Timestamp};
use factum_runtime::lease::state_of;
use serde::{Deserialize, Serialize};

use super::error::{Attempt, GroupError, attempt};
use super::group_document::{GroupName, VersionedGroup};
use super::partition_state::PartitionState;
use super::window::DeadLetterDraft;

/// The maximum number of dead letters that one request retries or discards.
pub const MAX_RETRIES: usize = 1_000;
/// The number of attempts to change documents that others change at the same time.
const MAX_CONFLICTS: usize = 100;

/// The document of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterDocument {
    /// The partition.
    pub partition: u16,
    /// The position of the event.
    pub position: u64,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The reason.
    pub reason: String,
    /// The time of the last attempt.
    pub failed_at: Timestamp,
}

impl DeadLetterDocument {
    /// Creates the document of a new dead letter.
    pub fn new(partition: u16, draft: DeadLetterDraft) -> Self {
        Self {
            partition,
            position: draft.position,
            attempts: draft.attempts,
            reason: draft.reason,
            failed_at: Timestamp::now(),
        }
    }
}

/// The reason for removing dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterRemoval {
    /// Their events are delivered again.
    Retry,
    /// They are removed for good.
    Discard,
}

/// Returns the dead letters after a position, in the order of their positions.
///
/// # Errors
/// Returns [`GroupError::NotFound`] if the group does not exist, and [`GroupError::Store`] if the store fails.
pub async fn list(
    documents: &dyn DocumentStore,
    name: &GroupName,
    after: u64,
    limit: usize,
) -> Result<Vec<DeadLetterDocument>, GroupError> {
    VersionedGroup::read(documents, name).await?;
    let mut scan = Scan::prefix(name.dead_letters()).limit(limit);
    if after > 0 {
        scan = scan.after(name.dead_letter_key(after));
    }
    let found = documents.scan_documents(scan).await?;
    let letters = found.iter().map(|document| Ok(document.decode()?));
    letters.collect()
}

/// Returns the event at a position; `None` if the log does not have it.
///
/// # Errors
/// Returns [`StoreError`] if the store fails.
pub async fn event(store: &dyn Store, position: u64) -> Result<Option<RecordedEvent>, StoreError> {
    let after = position.saturating_sub(1);
    let page = EventStore::read(store, Read::all(Query::all()).after(after).limit(1)).await?;
    let event = page.events.into_iter().next();
    Ok(event.filter(|event| event.position.get() == position))
}

/// Removes the dead letters at `positions`, or the first ones if it is empty, and returns their number.
///
/// # Errors
/// Returns [`GroupError`] if the group does not exist, is changed by others again and again, or the store fails.
pub async fn remove(
    documents: &dyn DocumentStore,
    name: &GroupName,
    positions: &[u64],
    removal: LetterRemoval,
) -> Result<u64, GroupError> {
    if positions.len() > MAX_RETRIES {
        let rule = format!(
            "expected at most {MAX_RETRIES} positions, got {}",
            positions.len()
        );
        return Err(GroupError::invalid("positions", rule));
    }
    VersionedGroup::read(documents, name).await?;
    let found = match positions {
        [] => {
            let scan = Scan::prefix(name.dead_letters()).limit(MAX_RETRIES.min(MAX_SCAN));
            documents.scan_documents(scan).await?
        }
        positions => {
            let keys = positions.iter().map(|at| name.dead_letter_key(*at));
            let mut keys: Vec<String> = keys.collect();
            keys.sort_unstable();
            keys.dedup();
            documents.find_documents(&keys).await?
        }
    };
    let mut partitions: BTreeMap<u16, Vec<(u64, Revision)>> = BTreeMap::new();
    for document in &found {
        let letter: DeadLetterDocument = document.decode()?;
        let letters = partitions.entry(letter.partition).or_default();
        letters.push((letter.position, document.revision));
    }
    let mut removed = 0;
    for (partition, letters) in partitions {
        removed += remove_of_partition(documents, name, partition, letters, removal).await?;
    }
    Ok(removed)
}

async fn remove_of_partition(
    documents: &dyn DocumentStore,
    name: &GroupName,
    partition: u16,
    mut letters: Vec<(u64, Revision)>,
    removal: LetterRemoval,
) -> Result<u64, GroupError> {
    let key = name.partition_key(partition);
    for _ in 0..MAX_CONFLICTS {
        let control = VersionedGroup::read(documents, name).await?;
        let mut keys = vec![key.clone()];
        keys.extend(letters.iter().map(|(at, _)| name.dead_letter_key(*at)));
        let found = documents.find_documents(&keys).await?;
        // Another request may have removed some of them.
        letters.retain(|(at, revision)| {
            let key = name.dead_letter_key(*at);
            let mut found = found.iter();
            found.any(|document| document.key == key && document.revision == *revision)
        });
        if letters.is_empty() {
            return Ok(0);
        }
        let start = Position::new(control.document.start);
        let (revision, mut state) = state_of::<PartitionState>(&found, &key, start)?;
        state.dead_letters = state.dead_letters.saturating_sub(letters.len() as u32);
        if removal == LetterRemoval::Retry {
            state.retries.extend(letters.iter().map(|(at, _)| *at));
            if state.retries.len() > MAX_RETRIES {
                return Err(GroupError::TooMany {
                    what: "retried dead letters of a partition",
                    limit: MAX_RETRIES,
                });
            }
        }
        let changes = DocumentChanges::new()
            .put_if(&key, revision, encode_document(&state)?)
            .require(name.key(), control.revision);
        let changes = letters.iter().fold(changes, |changes, (at, revision)| {
            changes.delete_if(name.dead_letter_key(*at), *revision)
        });
        match attempt(documents.change_documents(changes).await)? {
            Attempt::Done(_) => return Ok(letters.len() as u64),
            Attempt::Conflict => {}
        }
    }
    Err(GroupError::Busy {
        name: name.as_str().to_owned(),
    })
}
