//! [`Peer`]: another node, as this node sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use factum_core::document::{Document, Revision};
use tokio::time::Instant;
use uuid::Uuid;

use super::heartbeat_document::Heartbeat;
use super::os_process::OsProcess;

/// Another node, as this node sees it.
#[derive(Debug)]
pub struct Peer {
    /// The revision of its newest known heartbeat.
    pub revision: Revision,
    changed: Instant,
    lease: Duration,
    registered: BTreeSet<String>,
    /// The number of partitions that it holds.
    pub held: usize,
    /// Its name.
    pub name: Option<String>,
    /// Its process.
    pub process: OsProcess,
    /// The liveness lock of its store.
    pub liveness_lock: Option<Uuid>,
    /// Set if it has written a heartbeat since this node knows it.
    is_seen: bool,
    /// Set if this node has replaced it, until it writes another heartbeat.
    pub replaced: bool,
}

impl Peer {
    /// Creates a node of which only the id is known.
    pub fn unknown(lease: Duration) -> Self {
        Self {
            revision: Revision::ABSENT,
            changed: Instant::now(),
            lease,
            registered: BTreeSet::new(),
            held: 0,
            name: None,
            process: OsProcess::default(),
            liveness_lock: None,
            is_seen: false,
            replaced: false,
        }
    }

    /// Creates a node from its heartbeat.
    pub fn new(document: &Document, lease: Duration) -> Self {
        // Even if the document cannot be decoded, a node has just written it.
        let heartbeat: Heartbeat = document.decode().unwrap_or_default();
        let its_lease = Duration::from_millis(heartbeat.lease_ms);
        Self {
            revision: document.revision,
            lease: if its_lease.is_zero() {
                lease
            } else {
                its_lease
            },
            registered: heartbeat.registered,
            held: heartbeat.held,
            name: heartbeat.name,
            process: heartbeat.process,
            liveness_lock: heartbeat.liveness_lock,
            ..Self::unknown(lease)
        }
    }

    /// Records that it has written a heartbeat since this node knows it.
    pub fn seen(self) -> Self {
        Self {
            is_seen: true,
            ..self
        }
    }

    /// Returns whether it has written a heartbeat since this node knows it.
    pub fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// Returns whether the node may write another heartbeat.
    pub fn may_return(&self) -> bool {
        self.is_alive() || (self.revision != Revision::ABSENT && !self.is_obsolete())
    }

    /// Removes the partitions of the peer, because its document was deleted.
    pub fn without_partitions(self) -> Self {
        Self {
            revision: Revision::ABSENT,
            registered: BTreeSet::new(),
            held: 0,
            ..self
        }
    }

    /// Returns whether its lease has not expired.
    pub fn is_alive(&self) -> bool {
        !self.replaced && self.changed.elapsed() < self.lease
    }

    /// Returns whether it has written no heartbeat for so long that its document can be deleted.
    pub fn is_obsolete(&self) -> bool {
        self.changed.elapsed() > self.lease * 20
    }

    /// Returns whether it is alive and can process the partition `key`.
    pub fn can_process(&self, key: &str) -> bool {
        self.is_alive() && self.registered.contains(key)
    }

    /// Returns the partitions that it can process.
    pub fn registered(&self) -> &BTreeSet<String> {
        &self.registered
    }
}
