//! The heartbeat of a node: the task that reads the other nodes and writes the document of this one.

use std::sync::Arc;

use factum_core::document::{DocumentChanges, DocumentError, DocumentStore, Scan, encode_document};
use factum_core::error::{StoreError, error_chain};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Membership;
use super::heartbeat_document::{HEARTBEATS, Heartbeat, heartbeat_key};
use super::os_process::OsProcess;
use crate::failure_log::FailureLog;

impl Membership {
    /// Reads the other nodes and writes heartbeats, until the task is aborted.
    pub async fn run(self: Arc<Self>, documents: Arc<dyn DocumentStore>) {
        let mut ticks = tokio::time::interval(self.poll_interval());
        let failures = FailureLog::default();
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.changed.notified() => {}
            }
            match self.round(&*documents).await {
                Ok(()) => {
                    self.ready.send_replace(true);
                    if let Some(outage) = failures.recovered() {
                        info!(?outage, "heartbeats of other nodes can be read again");
                    }
                }
                Err(StoreError::Closed) => return,
                Err(error) if failures.failed() => {
                    let error = error_chain(&error);
                    warn!(error, "cannot read the heartbeats of other nodes, retrying");
                }
                Err(_) => {}
            }
        }
    }

    async fn round(&self, documents: &dyn DocumentStore) -> Result<(), StoreError> {
        let own = heartbeat_key(self.node);
        let found = documents.scan_documents(Scan::prefix(HEARTBEATS)).await?;
        let others = found.iter().filter(|document| document.key != own);
        let (expired, locks) = {
            let mut state = self.state();
            let expired = state.observe(others, self.lease);
            (expired, state.liveness_locks())
        };
        let released = match &locks[..] {
            [] => Vec::new(),
            locks => documents.released_liveness_locks(locks).await?,
        };
        let (changes, written) = {
            let mut state = self.state();
            let process = OsProcess::current();
            state.replace_released(&released);
            if !*self.ready.borrow() {
                state.replace_predecessors(self.name.as_deref());
            }
            state.replace_ended(&process);
            state.rebalance(self.lease);
            let expired = expired
                .into_iter()
                .fold(DocumentChanges::new(), DocumentChanges::delete);
            let heartbeat = Heartbeat {
                lease_ms: u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX),
                registered: state.registered().clone(),
                held: state.held(),
                name: self.name.clone(),
                process,
                liveness_lock: documents.liveness_lock(),
            };
            let is_written = found.iter().any(|document| document.key == own);
            match state.should_write(is_written, self.heartbeat_interval()) {
                true => {
                    let changes = expired.put(own, encode_document(&heartbeat)?);
                    (changes, Some(state.take_outdated()))
                }
                false => (expired, None),
            }
        };
        if changes.is_empty() {
            return Ok(());
        }
        let written_at = Instant::now();
        let changed = documents.change_documents(changes).await;
        if let Some(outdated) = written {
            match &changed {
                Ok(_) => self.state().record_write(written_at),
                Err(_) => self.state().restore_outdated(outdated),
            }
        }
        changed.map(drop).map_err(DocumentError::into_store_error)
    }

    /// Removes this node, so that others take over at once.
    pub async fn leave(&self, documents: &dyn DocumentStore) {
        let gone = DocumentChanges::new().delete(heartbeat_key(self.node));
        if let Err(error) = documents.change_documents(gone).await {
            warn!(%error, "cannot remove the heartbeat of this node; others take over after its lease");
        }
    }
}
