//! Leases: acquired, read again after a conflict, released to other processes.

use factum::Position;
use factum::store::StoreError;
use factum_runtime::lease::{Acquisition, KnownControl, Lease, LeaseState as _, state_of};
use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::state::Actor;
use crate::groups::consumer::StopReason;
use crate::groups::group_document::VersionedGroup;
use crate::groups::partition_state::PartitionState;

/// The reason of answers that are lost with a lease.
const LEASE_LOST: &str =
    "this server process has lost the partition, for example by a reset of the group";

impl Actor {
    /// Reads the documents of the group, and acquires the free partitions.
    pub async fn poll(&mut self) {
        self.poll_at = Instant::now() + self.context.membership.poll_interval();
        if let Err(error) = self.try_poll().await {
            match error {
                StoreError::Closed => self.end(StopReason::ServerStopping, "the store is closed"),
                error => {
                    let group = self.context.name.as_str();
                    warn!(%error, group, "cannot read the documents of a group, retrying");
                }
            }
        }
    }

    async fn try_poll(&mut self) -> Result<(), StoreError> {
        let name = &self.context.name;
        let count = self.control.document.settings.partitions;
        let mut keys: Vec<String> = (0..count).map(|at| name.partition_key(at)).collect();
        keys.push(name.key());
        let found = self.context.store.find_documents(&keys).await?;
        let control = found.iter().find(|document| document.key == name.key());
        let Some(control) = control.map(VersionedGroup::decode).transpose()? else {
            self.end(StopReason::GroupDeleted, "the group was deleted");
            return Ok(());
        };
        if control.document.created_at != self.control.document.created_at {
            self.end(
                StopReason::GroupDeleted,
                "the group was deleted and created again",
            );
            return Ok(());
        }
        if let Some(stop) = &control.document.stopped {
            let (reason, message) = (stop.cause.into(), stop.message.clone());
            self.end(reason, message);
        }
        self.coordinator
            .set_settings(control.document.settings.clone());
        self.control = control;
        let start = Position::new(self.control.document.start);
        let mut free = Vec::new();
        for partition in 0..count {
            let key = &keys[usize::from(partition)];
            let (revision, state) = state_of::<PartitionState>(&found, key, start)?;
            match self.leases.get(&partition) {
                Some(lease) if lease.revision() == revision => {
                    if self.context.membership.should_release(key) {
                        let now = self.now();
                        self.coordinator.start_release(partition, now);
                    }
                }
                Some(_) => self.must_reload = true,
                None => {
                    let membership = &self.context.membership;
                    let holder = state.holder();
                    let is_own = holder == Some(membership.node());
                    let is_held = holder.is_some_and(|holder| membership.is_alive(holder));
                    self.elsewhere.insert(partition, state);
                    match is_held && !is_own {
                        true => membership.mark_held_elsewhere(key),
                        false => free.push(partition),
                    }
                }
            }
        }
        if self.must_reload {
            self.reload_leases().await;
        }
        if self.ending.is_none() {
            self.acquire(&free).await?;
        }
        Ok(())
    }

    async fn acquire(&mut self, free: &[u16]) -> Result<(), StoreError> {
        let name = &self.context.name;
        let control = name.key();
        let start = Position::new(self.control.document.start);
        let keys: Vec<String> = free.iter().map(|at| name.partition_key(*at)).collect();
        let acquisitions = keys.iter().map(|key| {
            let control = KnownControl {
                key: &control,
                revision: self.control.revision,
            };
            let (store, membership) = (&*self.context.store, &*self.context.membership);
            Lease::<PartitionState>::acquire(store, membership, key, start, control)
        });
        let acquired = join_all(acquisitions).await;
        for ((partition, key), acquisition) in free.iter().zip(&keys).zip(acquired) {
            match acquisition? {
                Acquisition::Acquired(lease) => {
                    self.context.membership.acquired(key);
                    self.elsewhere.remove(partition);
                    self.coordinator.hold(*partition, lease.state());
                    self.leases.insert(*partition, lease);
                    self.must_read = true;
                }
                Acquisition::HeldElsewhere(state) => {
                    self.elsewhere.insert(*partition, state);
                }
                Acquisition::OutdatedControl => self.poll_at = Instant::now(),
            }
        }
        Ok(())
    }

    /// Reads the documents of the leases again, after a conflict, a request, or an unknown outcome of a write.
    pub async fn reload_leases(&mut self) {
        let partitions: Vec<u16> = self.leases.keys().copied().collect();
        for partition in partitions {
            let Some(lease) = self.leases.get_mut(&partition) else {
                continue;
            };
            match lease.reload(&*self.context.store).await {
                Ok(true) => {
                    let state = lease.state().clone();
                    self.coordinator.reloaded(partition, &state);
                }
                Ok(false) => {
                    self.lose(partition);
                    self.poll_at = Instant::now();
                }
                Err(StoreError::Closed) => {
                    return self.end(StopReason::ServerStopping, "the store is closed");
                }
                Err(error) => {
                    let group = self.context.name.as_str();
                    warn!(%error, group, "cannot read a lease of a group, retrying");
                    tokio::time::sleep(super::state::FAILURE_PAUSE).await;
                    return;
                }
            }
        }
        self.must_reload = false;
    }

    fn lose(&mut self, partition: u16) {
        self.leases.remove(&partition);
        self.coordinator.lose(partition, LEASE_LOST);
        let key = self.context.name.partition_key(partition);
        self.context.membership.released(&key);
    }

    /// Releases a partition, unless it has answers that are not written.
    pub async fn release(&mut self, partition: u16) {
        let held = self.coordinator.partition(partition);
        if held.is_some_and(|held| held.settlement.is_unwritten()) {
            return;
        }
        let Some(lease) = self.leases.remove(&partition) else {
            return;
        };
        self.elsewhere
            .insert(partition, lease.state().clone().held_by(None));
        if let Err(error) = lease.release(&*self.context.store).await {
            debug!(%error, "cannot release the lease of a group; it will expire");
        }
        let reason = "the partition goes to another server process";
        self.coordinator.lose(partition, reason);
        let key = self.context.name.partition_key(partition);
        self.context.membership.released(&key);
    }

    /// Announces to the other processes that this one can process the partitions.
    pub fn register(&self) {
        for partition in 0..self.control.document.settings.partitions {
            let key = self.context.name.partition_key(partition);
            self.context.membership.register(&key);
        }
    }

    /// Announces to the other processes that this one has no consumers.
    pub fn unregister(&self) {
        for partition in 0..self.control.document.settings.partitions {
            let key = self.context.name.partition_key(partition);
            self.context.membership.unregister(&key);
        }
    }

    /// Writes what is settled, releases the leases, and stops the consumers.
    pub async fn finish(&mut self) {
        if let Some(write) = self.write.take() {
            let write = write.await;
            self.written(write);
        }
        if self.must_reload {
            self.reload_leases().await;
        }
        self.write_at = Instant::now();
        self.start_write();
        if let Some(write) = self.write.take() {
            let write = write.await;
            self.written(write);
        }
        self.send_notices();
        let leases = std::mem::take(&mut self.leases);
        let (store, membership) = (&*self.context.store, &self.context.membership);
        let released = leases.into_values().map(|lease| async move {
            let key = lease.key().to_owned();
            if let Err(error) = lease.release(store).await {
                debug!(%error, "cannot release the lease of a group; it will expire");
            }
            membership.released(&key);
        });
        join_all(released).await;
        let consumers = std::mem::take(&mut self.consumers);
        if let Some(stopped) = self.ending.clone() {
            for link in consumers.into_values() {
                link.stop(stopped.clone());
            }
        }
    }
}
