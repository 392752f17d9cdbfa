//! Writes: the states of the changed partitions and their new dead letters, in one change.

use factum::store::{DocumentChanges, DocumentError, StoreError, encode_document};
use tokio::time::Instant;
use tracing::warn;

use super::state::{Actor, FAILURE_PAUSE, MOVED_INTERVAL, WRITE_INTERVAL, Write};
use crate::groups::consumer::StopReason;
use crate::groups::dead_letters::DeadLetterDocument;
use crate::groups::settlement::PartitionWrite;

impl Actor {
    /// Starts the next write, if there is something to write and none runs.
    pub fn start_write(&mut self) {
        if self.write.is_some() || self.must_reload {
            return;
        }
        let now = Instant::now();
        let is_moved_due = now >= self.moved_at;
        let is_due = self.coordinator.has_changes() && now >= self.write_at;
        if !is_due && !is_moved_due {
            return;
        }
        self.moved_at = now + MOVED_INTERVAL;
        let node = self.context.membership.node();
        let partitions = self.coordinator.begin_writes(node, is_moved_due);
        if partitions.is_empty() {
            return;
        }
        self.write_at = now + WRITE_INTERVAL;
        let changes = match self.changes(&partitions) {
            Ok(changes) => changes,
            Err(error) => return self.end(StopReason::StoreFailed, error.to_string()),
        };
        let store = self.context.store.clone();
        self.write = Some(Box::pin(async move {
            let result = store.change_documents(changes).await;
            Write { partitions, result }
        }));
    }

    /// Confirms the answers of a write, or notes that the leases have to be read again.
    pub fn written(&mut self, write: Write) {
        match write.result {
            Ok(revision) => {
                for written in write.partitions {
                    if let Some(lease) = self.leases.get_mut(&written.partition) {
                        lease.record_renewal(written.state, revision);
                        self.coordinator.committed(written.partition);
                    }
                }
            }
            Err(DocumentError::RevisionConflict { .. }) => self.must_reload = true,
            Err(DocumentError::Store(StoreError::Closed)) => {
                self.end(StopReason::ServerStopping, "the store is closed");
            }
            Err(error) => {
                let group = self.context.name.as_str();
                warn!(%error, group, "cannot write the progress of a group, retrying");
                // The outcome may be unknown, so the documents are read before the next write.
                self.must_reload = true;
                self.write_at = Instant::now() + FAILURE_PAUSE;
            }
        }
    }

    fn changes(&self, partitions: &[PartitionWrite]) -> Result<DocumentChanges, StoreError> {
        let name = &self.context.name;
        let mut changes = DocumentChanges::new();
        for write in partitions {
            let Some(lease) = self.leases.get(&write.partition) else {
                continue;
            };
            changes = changes.with(lease.renewal_change(&write.state)?);
            for draft in &write.dead_letters {
                let letter = DeadLetterDocument::new(write.partition, draft.clone());
                let key = name.dead_letter_key(letter.position);
                changes = changes.put(key, encode_document(&letter)?);
            }
        }
        Ok(changes)
    }
}
