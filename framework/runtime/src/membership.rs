//! [`Membership`]: the nodes that share a store, and the partitions that each of them processes.
//!
//! Each node has a document, its heartbeat. It contains the partitions that the node can process, and the number of
//! partitions that it processes. A node is considered dead if its heartbeat does not change for the duration of its
//! lease, measured by the clock of the observer. A wrong guess only causes duplicate work, because the revision of each
//! lease is a fencing token.
//!
//! A node does not wait for the lease of a dead node if it has a proof of its death: a released liveness lock of the store,
//! the end of the process on the same machine, or a new node of the same name.
//!
//! A node writes its document once at its start. A node that sees no other node writes no further heartbeats: it only
//! reads, and writes again when another node appears.

mod heartbeat;
mod heartbeat_document;
mod os_process;
mod peer;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factum_core::event_id::new_event_id;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

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

    /// Returns whether `node` has written a heartbeat since this node knows it.
    pub fn is_seen(&self, node: Uuid) -> bool {
        self.state().is_seen(node)
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
}
