//! [`MembershipState`]: the other nodes that a node knows, and the partitions that it holds and releases.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use factum_core::document::Document;
use tokio::time::Instant;
use uuid::Uuid;

use super::heartbeat_document::HEARTBEATS;
use super::os_process::OsProcess;
use super::peer::Peer;

/// The minimum time between two offers of one partition, in leases.
const OFFER_INTERVAL: u32 = 20;

/// The other nodes that a node knows, and the partitions that it holds and releases.
#[derive(Debug, Default)]
pub struct MembershipState {
    peers: HashMap<Uuid, Peer>,
    /// Set once the documents of the other nodes were read.
    has_observed: bool,
    /// The partitions that this node can process.
    registered: BTreeSet<String>,
    /// The partitions that this node processes.
    held: BTreeSet<String>,
    /// The partitions that this node should release to nodes with fewer partitions.
    to_release: BTreeSet<String>,
    rebalanced: Option<Instant>,
    /// The partitions that are offered to nodes with newer code, and the reasons.
    handovers: HashMap<String, String>,
    last_offers: HashMap<String, Instant>,
    /// The time at which each partition that another node should acquire became free.
    free_since: HashMap<String, Instant>,
    /// The time of the last heartbeat; `outdated` is set if its content has changed since then.
    written: Option<Instant>,
    outdated: bool,
}

impl MembershipState {
    /// Returns whether the node is alive.
    pub fn is_alive(&mut self, node: Uuid, lease: Duration) -> bool {
        let peer = self.peers.entry(node);
        peer.or_insert_with(|| Peer::unknown(lease)).is_alive()
    }

    /// Returns whether `node` has written a heartbeat since this node knows it.
    pub fn is_seen(&self, node: Uuid) -> bool {
        self.peers.get(&node).is_some_and(Peer::is_seen)
    }

    /// Returns whether this node may acquire the free partition `key`.
    pub fn may_acquire(&mut self, key: &str, lease: Duration) -> bool {
        let own = self.held.len();
        let mut rivals = self.peers.values().filter(|peer| peer.can_process(key));
        // A node that has just released a partition must not be the first to acquire it again.
        if !rivals.any(|peer| peer.held < own) {
            return true;
        }
        let now = Instant::now();
        let since = *self.free_since.entry(key.to_owned()).or_insert(now);
        now.duration_since(since) >= lease
    }

    /// Records that another node holds the partition `key`.
    pub fn mark_held_elsewhere(&mut self, key: &str) {
        self.free_since.remove(key);
    }

    /// Returns whether this node should release the partition `key`.
    pub fn should_release(&self, key: &str) -> bool {
        self.to_release.contains(key)
    }

    /// Offers the partition `key` to nodes with newer code.
    pub fn offer_handover(&mut self, key: &str, reason: &str, lease: Duration) {
        let last = self.last_offers.get(key);
        let is_recent = last.is_some_and(|at| at.elapsed() < lease * OFFER_INTERVAL);
        let is_wanted = self.peers.values().any(|peer| peer.can_process(key));
        if is_wanted && !is_recent && self.held.contains(key) {
            self.last_offers.insert(key.to_owned(), Instant::now());
            self.handovers.insert(key.to_owned(), reason.to_owned());
        }
    }

    /// Returns the reason for handing the partition `key` over.
    pub fn handover_reason(&self, key: &str) -> Option<String> {
        self.handovers.get(key).cloned()
    }

    /// Adds a partition that this node can process.
    pub fn register(&mut self, key: &str) {
        self.outdated |= self.registered.insert(key.to_owned());
    }

    /// Removes a partition that this node can process.
    pub fn unregister(&mut self, key: &str) {
        self.outdated |= self.registered.remove(key);
    }

    /// Records that this node has acquired a partition.
    pub fn acquired(&mut self, key: &str) {
        self.free_since.remove(key);
        self.outdated |= self.held.insert(key.to_owned());
    }

    /// Records that this node has released a partition.
    pub fn released(&mut self, key: &str) {
        self.outdated |= self.held.remove(key);
        self.to_release.remove(key);
        self.handovers.remove(key);
        self.free_since.remove(key);
    }

    /// Returns the partitions that this node can process.
    pub fn registered(&self) -> &BTreeSet<String> {
        &self.registered
    }

    /// Returns the number of partitions that this node holds.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Returns whether the heartbeat must be written now.
    ///
    /// It is written the first time, and while there are documents of other nodes.
    ///
    /// The document of a node that is considered dead counts, too: after an outage of the store, every node considers the
    /// others dead, until one of them writes.
    pub fn should_write(&self, is_written: bool, interval: Duration) -> bool {
        let has_peers = self.peers.values().any(Peer::may_return);
        let is_due = self.written.is_none_or(|at| at.elapsed() >= interval);
        !is_written || (has_peers && (self.outdated || is_due))
    }

    /// Records that the heartbeat was written at the time `at`.
    pub fn record_write(&mut self, at: Instant) {
        self.written = Some(at);
    }

    /// Returns whether the partitions have changed since the last heartbeat, and resets that.
    pub fn take_outdated(&mut self) -> bool {
        std::mem::take(&mut self.outdated)
    }

    /// Records that a heartbeat with changed partitions was not written.
    pub fn restore_outdated(&mut self, outdated: bool) {
        self.outdated |= outdated;
    }

    /// Updates the other nodes from their documents, and returns the keys of documents to delete.
    pub fn observe<'d>(
        &mut self,
        found: impl Iterator<Item = &'d Document>,
        lease: Duration,
    ) -> Vec<String> {
        let mut peers = HashMap::new();
        let mut obsolete = Vec::new();
        for document in found {
            let Ok(node) = document.key[HEARTBEATS.len()..].parse::<Uuid>() else {
                continue;
            };
            let peer = match self.peers.remove(&node) {
                Some(peer) if peer.revision == document.revision => peer,
                Some(_) => Peer::new(document, lease).seen(),
                // It has started after this node, which has read all documents before.
                None if self.has_observed => Peer::new(document, lease).seen(),
                None => Peer::new(document, lease),
            };
            if peer.is_obsolete() {
                obsolete.push(document.key.clone());
            }
            peers.insert(node, peer);
        }
        // These nodes have left, or are known only by their leases. Expired ones are kept, too: a node that becomes known
        // again counts as alive.
        let without_document = self.peers.drain().filter(|(_, peer)| !peer.is_obsolete());
        peers.extend(without_document.map(|(node, peer)| (node, peer.without_partitions())));
        self.peers = peers;
        self.has_observed = true;
        obsolete
    }

    /// Marks the nodes of the same name as replaced; called at the start of this node.
    ///
    /// This is safe because each lease has a fencing token. A replaced node that is alive writes another heartbeat.
    pub fn replace_predecessors(&mut self, name: Option<&str>) {
        for peer in self.peers.values_mut() {
            peer.replaced |= name.is_some() && peer.name.as_deref() == name;
        }
    }

    /// Marks the nodes whose process has ended on this machine as replaced.
    pub fn replace_ended(&mut self, process: &OsProcess) {
        for peer in self.peers.values_mut() {
            peer.replaced |= process.proves_end_of(&peer.process);
        }
    }

    /// Returns the liveness locks of the nodes that are not known to be dead.
    pub fn liveness_locks(&self) -> Vec<Uuid> {
        let unknown = self.peers.values().filter(|peer| !peer.replaced);
        unknown.filter_map(|peer| peer.liveness_lock).collect()
    }

    /// Marks the nodes with one of these liveness locks, which are released, as replaced.
    pub fn replace_released(&mut self, released: &[Uuid]) {
        for peer in self.peers.values_mut() {
            let lock = peer.liveness_lock;
            peer.replaced |= lock.is_some_and(|lock| released.contains(&lock));
        }
    }

    /// Selects partitions to release to nodes that hold fewer.
    pub fn rebalance(&mut self, lease: Duration) {
        if self.rebalanced.is_some_and(|at| at.elapsed() < lease) {
            // The released partitions may not have been acquired yet.
            return;
        }
        let alive = self.peers.values().filter(|peer| peer.is_alive());
        let mut others: Vec<_> = alive.map(|peer| (peer.held, peer.registered())).collect();
        let mut own = self.held.len();
        for key in &self.held {
            let candidates = others
                .iter_mut()
                .filter(|(_, registered)| registered.contains(key));
            let Some(smallest) = candidates.min_by_key(|(held, _)| *held) else {
                continue;
            };
            if smallest.0 + 1 < own {
                smallest.0 += 1;
                own -= 1;
                self.to_release.insert(key.clone());
                self.rebalanced = Some(Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn holder_without_document_expires_once() {
        let (mut state, lease) = (MembershipState::default(), Duration::from_secs(1));
        let holder = Uuid::from_u128(7);
        assert!(state.is_alive(holder, lease));
        tokio::time::advance(lease).await;
        // The other nodes are read between two attempts to acquire the lease.
        for _ in 0..3 {
            state.observe(std::iter::empty(), lease);
            assert!(!state.is_alive(holder, lease));
        }
        assert!(!state.should_write(true, lease));
    }
}
