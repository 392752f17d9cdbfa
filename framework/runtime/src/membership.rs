//! [`Membership`]: the nodes that share a store, and the partitions that each of them processes.
//!
//! Each node has a document, its heartbeat. It contains the partitions that the node can process, and the number of
//! partitions that it processes. A node is considered dead if its heartbeat does not change for the duration of its
//! lease, measured by the clock of the observer. A wrong guess only causes duplicate work, because the revision of each
//! lease is a fencing token.
//!
//! A node that sees no other node writes no heartbeats: it only reads, and resumes writing when another node appears.

mod heartbeat;
mod peer;
mod process_identity;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factum_core::document::{DocumentChanges, DocumentStore, Scan, encode_document};
use factum_core::error::StoreError;
use factum_core::event_id::new_event_id;
use tokio::sync::{Notify, watch};
use tracing::warn;
use uuid::Uuid;

use heartbeat::{HEARTBEATS, Heartbeat, heartbeat_key};
use process_identity::ProcessIdentity;
use state::MembershipState;

/// The maximum interval between two reads of the other nodes and of requests.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The nodes that share a store, from the point of view of one node.
#[derive(Debug)]
pub struct Membership {
    node: Uuid,
    /// A name that stays the same after a restart of the program.
    name: Option<String>,
    lease: Duration,
    state: Mutex<MembershipState>,
    ready: watch::Sender<bool>,
    changed: Notify,
}

impl Membership {
    /// Creates the membership of a new node.
    pub fn new(lease: Duration, name: Option<String>) -> Self {
        Self {
            node: new_event_id(),
            name,
            lease,
            state: Mutex::default(),
            ready: watch::Sender::new(false),
            changed: Notify::new(),
        }
    }

    /// Creates a membership of one node, for documents that no other node sees.
    pub fn alone(lease: Duration) -> Self {
        let alone = Self::new(lease, None);
        alone.ready.send_replace(true);
        alone
    }

    /// Returns the id of this node.
    pub fn node(&self) -> Uuid {
        self.node
    }

    /// Returns the interval between heartbeats while other nodes exist.
    pub fn heartbeat_interval(&self) -> Duration {
        self.lease / 3
    }

    /// Returns the interval at which documents that other nodes may change are read.
    pub fn poll_interval(&self) -> Duration {
        self.heartbeat_interval().min(MAX_POLL_INTERVAL)
    }

    /// Returns the time after which a node without heartbeats is considered dead.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Waits until the other nodes were read once.
    pub async fn ready(&self) {
        let mut ready = self.ready.subscribe();
        // The sender lives as long as `self`.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    fn state(&self) -> MutexGuard<'_, MembershipState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether `node` is alive.
    ///
    /// An unknown node is considered alive for the duration of a lease, in which it can write a heartbeat.
    pub fn is_alive(&self, node: Uuid) -> bool {
        node == self.node || self.state().is_alive(node, self.lease)
    }

    /// Returns whether this node may acquire the free partition `key`.
    ///
    /// It may do so if it has less than its share of the partitions, or if no other node wants this partition.
    pub fn may_acquire(&self, key: &str) -> bool {
        self.state().may_acquire(key, self.lease)
    }

    /// Records that another node holds the partition `key`.
    pub fn mark_held_elsewhere(&self, key: &str) {
        self.state().mark_held_elsewhere(key);
    }

    /// Returns whether this node should release the partition `key` to a node with fewer partitions.
    pub fn should_release(&self, key: &str) -> bool {
        self.state().should_release(key)
    }

    /// Offers the partition `key` to nodes that may run newer code, for this reason.
    ///
    /// An offer is repeated only after several leases, because the other nodes may not run newer code either.
    pub fn offer_handover(&self, key: &str, reason: &str) {
        self.state().offer_handover(key, reason, self.lease);
    }

    /// Returns the reason for handing the partition `key` over, if it was offered.
    pub fn handover_reason(&self, key: &str) -> Option<String> {
        self.state().handover_reason(key)
    }

    /// Adds a partition that this node can process.
    pub fn register(&self, key: &str) {
        self.state().register(key);
        self.changed.notify_one();
    }

    /// Removes a partition that this node can process.
    pub fn unregister(&self, key: &str) {
        self.state().unregister(key);
        self.changed.notify_one();
    }

    /// Records that this node has acquired a partition.
    pub fn acquired(&self, key: &str) {
        self.state().acquired(key);
        self.changed.notify_one();
    }

    /// Records that this node has released a partition.
    pub fn released(&self, key: &str) {
        self.state().released(key);
        self.changed.notify_one();
    }

    /// Reads the other nodes and writes heartbeats, until the task is aborted.
    pub async fn run(self: Arc<Self>, documents: Arc<dyn DocumentStore>) {
        let mut ticks = tokio::time::interval(self.poll_interval());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.changed.notified() => {}
            }
            match self.round(&*documents).await {
                Ok(()) => drop(self.ready.send_replace(true)),
                Err(StoreError::Closed) => return,
                Err(error) => warn!(%error, "cannot read the heartbeats of other nodes"),
            }
        }
    }

    async fn round(&self, documents: &dyn DocumentStore) -> Result<(), StoreError> {
        let own = heartbeat_key(self.node);
        let found = documents.scan_documents(Scan::prefix(HEARTBEATS)).await?;
        let changes = {
            let mut state = self.state();
            let others = found.iter().filter(|document| document.key != own);
            let expired = state.observe(others, self.lease);
            if !*self.ready.borrow() {
                state.replace_predecessors(self.name.as_deref(), &ProcessIdentity::current());
            }
            state.rebalance(self.lease);
            let expired = expired
                .into_iter()
                .fold(DocumentChanges::new(), DocumentChanges::delete);
            let heartbeat = Heartbeat {
                lease_ms: u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX),
                registered: state.registered().clone(),
                held: state.held(),
                name: self.name.clone(),
                process: ProcessIdentity::current(),
            };
            let is_written = found.iter().any(|document| document.key == own);
            match state.should_write(is_written, self.heartbeat_interval()) {
                true => expired.put(own, encode_document(&heartbeat)?),
                false => expired,
            }
        };
        if changes.is_empty() {
            return Ok(());
        }
        let changed = documents.change_documents(changes).await;
        changed
            .map(drop)
            .map_err(factum_core::document::DocumentError::into_store_error)
    }

    /// Removes this node, so that others take over at once.
    pub async fn leave(&self, documents: &dyn DocumentStore) {
        let gone = DocumentChanges::new().delete(heartbeat_key(self.node));
        if let Err(error) = documents.change_documents(gone).await {
            warn!(%error, "cannot remove the heartbeat of this node; others take over after its lease");
        }
    }
}
