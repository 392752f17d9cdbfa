//! [`Checkpoint`]: the progress of a partition of a build, in one document with its [`Lease`].
//!
//! Both are one document, whose revision is the fencing token: a node can only write it if it knows the last revision.
//! Appends with an inline projection, and requests that interrupt the holder, write it too.
//!
//! Each stored checkpoint renews the lease: see [`BatchApplier`](super::batch_applier::BatchApplier). A lease has no
//! timeout of its own: another node acquires it when the heartbeat of its holder has stopped.

use std::time::Duration;

use factum_core::document::{Document, DocumentChanges, DocumentError, DocumentStore, Revision};
use factum_core::position::Position;
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::build::Build;
use crate::lease::{Acquisition, KnownControl, Lease, LeaseState, state_of};
use crate::membership::Membership;

/// The document of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// The position up to which every event was processed or became a dead letter.
    pub position: Position,
    /// The node that holds the lease.
    pub holder: Option<Uuid>,
    /// The number of the newest request to retry all dead letters that was carried out.
    pub retries: u64,
    /// The number of events in the dead-letter queue.
    pub dead_letters: u64,
    /// The time at which the newest processed event was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// Set if the holder has stopped after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
}

/// The reason why a consumer has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The error, with its causes.
    pub error: String,
    /// The number of the newest request to resume before the stop.
    pub resumed: u64,
    /// The last processed position that the log still has, if the checkpoint is beyond the head.
    ///
    /// The stop then also holds after the log has reached the checkpoint: the events up to it are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Position>,
}

impl Checkpoint {
    /// Returns whether the consumer has stopped because the checkpoint was beyond the head of the log.
    #[must_use]
    pub fn is_beyond_head(&self) -> bool {
        self.stopped
            .as_ref()
            .is_some_and(|stop| stop.restored.is_some())
    }

    /// Returns the position up to which the events that the log has were processed.
    pub fn reached(&self) -> Position {
        let restored = self.stopped.as_ref().and_then(|stop| stop.restored);
        restored.unwrap_or(self.position)
    }
}

impl LeaseState for Checkpoint {
    fn starting_after(start: Position) -> Self {
        Self {
            position: start,
            ..Self::default()
        }
    }

    fn holder(&self) -> Option<Uuid> {
        self.holder
    }

    fn held_by(self, holder: Option<Uuid>) -> Self {
        Self { holder, ..self }
    }
}

/// Returns the revision and content of the checkpoint under `key`; a new one starts after `start`.
///
/// # Errors
/// Returns [`StoreError::Corrupt`] if it cannot be decoded.
pub fn checkpoint_of(
    found: &[Document],
    key: &str,
    start: Position,
) -> Result<(Revision, Checkpoint), StoreError> {
    state_of(found, key, start)
}

/// Returns the position of a checkpoint document; 0 if it does not exist.
///
/// # Errors
/// Returns [`StoreError::Corrupt`] if it cannot be decoded.
pub fn checkpoint_position(found: Option<&Document>) -> Result<Position, StoreError> {
    let checkpoint: Option<Checkpoint> = found.map(Document::decode).transpose()?;
    Ok(checkpoint.map_or(Position::ZERO, |checkpoint| checkpoint.position))
}

/// Returns the key of the checkpoint of a partition.
#[must_use]
pub fn lease_key(name: &str, build: u64, partition: u16) -> String {
    format!("consumer/{name}/{build:010}/{partition:05}")
}

/// Returns the keys of the checkpoints of all partitions of a build.
#[must_use]
pub fn lease_keys(name: &str, build: u64, partitions: u16) -> Vec<String> {
    (0..partitions)
        .map(|partition| lease_key(name, build, partition))
        .collect()
}

/// The progress of a build over all its partitions, whichever nodes process them.
pub struct BuildProgress {
    /// The lowest checkpoint of a partition.
    pub position: Position,
    /// The highest checkpoint of a partition.
    pub highest: Position,
    /// The node that holds each partition.
    pub holders: Vec<Option<Uuid>>,
    /// The number of dead letters.
    pub dead_letters: u64,
    /// The time at which the newest processed event was stored.
    pub newest: Option<Timestamp>,
    /// Set if a partition has stopped.
    pub stopped: bool,
    found: Vec<Document>,
}

/// Reads the progress of a build.
pub async fn build_progress(
    documents: &dyn DocumentStore,
    name: &str,
    build: &Build,
) -> Result<BuildProgress, StoreError> {
    let keys = lease_keys(name, build.number, build.partitions);
    let found = documents.find_documents(&keys).await?;
    let mut progress = BuildProgress {
        position: Position::MAX,
        highest: Position::ZERO,
        holders: Vec::with_capacity(keys.len()),
        dead_letters: 0,
        newest: None,
        stopped: false,
        found,
    };
    for key in &keys {
        let (_, checkpoint) = checkpoint_of(&progress.found, key, Position::ZERO)?;
        progress.position = progress.position.min(checkpoint.position);
        progress.highest = progress.highest.max(checkpoint.position);
        progress.holders.push(checkpoint.holder);
        progress.dead_letters += checkpoint.dead_letters;
        progress.newest = progress.newest.into_iter().chain(checkpoint.newest).min();
        progress.stopped |= checkpoint.stopped.is_some();
    }
    if keys.is_empty() {
        progress.position = Position::ZERO;
    }
    Ok(progress)
}

impl BuildProgress {
    /// Returns changes that write the same checkpoints again, if they have not changed.
    ///
    /// The new revisions invalidate the fencing tokens of the nodes that hold the leases. So these nodes must read the
    /// control document before their next batch.
    pub fn interrupt(&self) -> DocumentChanges {
        let found = self.found.iter();
        found.fold(DocumentChanges::new(), |changes, document| {
            changes.put_if(&document.key, document.revision, &document.value)
        })
    }
}

/// Interrupts every node that processes one of `builds`, by writing its checkpoints again.
///
/// The new revisions invalidate the fencing tokens, so each of these nodes must read the control document before its
/// next batch.
///
/// Change the control document before the call. A node that acquires a lease after the change already knows it.
pub async fn interrupt(
    documents: &dyn DocumentStore,
    name: &str,
    builds: &[Build],
) -> Result<(), StoreError> {
    let wanted = builds.iter().filter(|build| !build.retired);
    for key in wanted.flat_map(|build| lease_keys(name, build.number, build.partitions)) {
        loop {
            let found = documents.find_documents(std::slice::from_ref(&key)).await?;
            let Some(document) = found.into_iter().next() else {
                break;
            };
            let same = DocumentChanges::new().put_if(&key, document.revision, document.value);
            match documents.change_documents(same).await {
                Ok(_) => break,
                // A batch came first. Its node reads the control document itself, so this ends.
                Err(DocumentError::RevisionConflict { .. }) => {}
                Err(error) => return Err(error.into_store_error()),
            }
        }
    }
    Ok(())
}

/// Tests the fencing of leases, for the conformance suite.
///
/// One node acquires and renews a lease, another node takes it over, and then both renew it. Returns which of the three
/// renewals succeeded.
#[doc(hidden)]
pub async fn fencing_test(first: &dyn DocumentStore, second: &dyn DocumentStore) -> [bool; 3] {
    let revision = first.change_documents(DocumentChanges::new().put("control", "{}"));
    let control = KnownControl {
        key: "control",
        revision: revision.await.unwrap_or_default(),
    };
    // A node with a lease of zero is dead at once.
    let nodes = [(); 2].map(|()| Membership::alone(Duration::ZERO));
    let acquire = async |documents, node| {
        let acquired =
            Lease::<Checkpoint>::acquire(documents, node, "fence", Position::ZERO, control);
        match acquired.await {
            Ok(Acquisition::Acquired(lease)) => Some(lease),
            _ => None,
        }
    };
    let renew =
        async |documents: &dyn DocumentStore, lease: Option<&Lease<Checkpoint>>, position| {
            let lease = lease?;
            let next = Checkpoint {
                position: Position::new(position),
                ..lease.state().clone()
            };
            let changes = lease.renewal_change(&next).ok()?;
            documents.change_documents(changes).await.ok()
        };
    let mut lease = acquire(first, &nodes[0]).await;
    let before = renew(first, lease.as_ref(), 1).await;
    if let (Some(lease), Some(revision)) = (&mut lease, before) {
        let next = lease.state().clone();
        lease.record_renewal(next, revision);
    }
    let taken_over = acquire(second, &nodes[1]).await;
    let stale = renew(first, lease.as_ref(), 2).await;
    let current = renew(second, taken_over.as_ref(), 3).await;
    [before.is_some(), stale.is_some(), current.is_some()]
}

#[cfg(test)]
mod tests {
    use factum_core::document::MemoryDocuments;

    use super::*;

    #[tokio::test]
    async fn lease_is_released_after_a_revision_conflict() {
        let documents = MemoryDocuments::default();
        let node = Membership::alone(Duration::from_secs(60));
        let control = documents.change_documents(DocumentChanges::new().put("control", "{}"));
        let control = KnownControl {
            key: "control",
            revision: control.await.unwrap_or_default(),
        };
        let acquired =
            Lease::<Checkpoint>::acquire(&documents, &node, "lease", Position::ZERO, control);
        let Ok(Acquisition::Acquired(lease)) = acquired.await else {
            panic!("the lease is free")
        };
        // An append moves the checkpoint of an inline projection.
        let moved = Checkpoint {
            position: Position::new(7),
            ..lease.state().clone()
        };
        let moved = lease
            .renewal_change(&moved)
            .map(|moved| documents.change(moved));
        assert!(matches!(moved, Ok(Ok(_))));
        assert!(lease.release(&documents).await.is_ok());
        let found = documents.find(&["lease".to_owned()]);
        let released = checkpoint_of(&found, "lease", Position::ZERO);
        let (_, released) = released.unwrap_or_default();
        assert_eq!((released.holder, released.position.get()), (None, 7));
    }
}
