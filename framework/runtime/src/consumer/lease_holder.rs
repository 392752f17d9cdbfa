//! [`LeaseHolder`]: acquires and releases the lease of a partition.
//!
//! While another node holds the lease, it reports the progress of that node. The lease is renewed with each checkpoint,
//! by [`BatchApplier`](super::batch_applier::BatchApplier).

use std::sync::Arc;

use factum_engine::error::{StoreError, error_chain};
use tokio::sync::watch;
use tracing::debug;

use super::context::{ConsumerContext, FAST_POLL};
use super::control::{VersionedControl, control_key};
use super::lease::{Checkpoint, lease_key};
use super::partition_reporter::PartitionReporter;
use super::status::ConsumerState;
use crate::lease::{Acquisition, KnownControl, Lease};

/// The right of this node to a partition of a build.
pub struct LeaseHolder {
    context: Arc<ConsumerContext>,
    build: u64,
    key: String,
    reporter: PartitionReporter,
    control: watch::Receiver<Arc<VersionedControl>>,
}

impl LeaseHolder {
    /// Creates the holder of a partition of `build`, and registers the partition with the membership.
    pub fn new(
        context: Arc<ConsumerContext>,
        build: u64,
        partition: u16,
        reporter: PartitionReporter,
        control: watch::Receiver<Arc<VersionedControl>>,
    ) -> Self {
        let key = lease_key(context.name(), build, partition);
        context.membership.register(&key);
        Self {
            context,
            build,
            key,
            reporter,
            control,
        }
    }

    /// Returns the key of the lease.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns whether the build exists, was not retired, and this node does not shut down.
    pub fn is_wanted(&self) -> bool {
        let control = self.control.borrow();
        self.control.has_changed().is_ok() && control.control.wants(self.build)
    }

    /// Waits until this node shuts down.
    pub async fn shutdown(&self) {
        let mut control = self.control.clone();
        while control.changed().await.is_ok() {}
    }

    /// Waits until this node has acquired the lease; `None` if the partition is not wanted any more.
    pub async fn acquire(&mut self) -> Option<Lease<Checkpoint>> {
        let context = self.context.clone();
        let mut failures = 0;
        loop {
            if !self.is_wanted() {
                return None;
            }
            let arrived = context.waiters.arrived();
            tokio::pin!(arrived);
            // From here on, the notification is not missed.
            arrived.as_mut().enable();
            let known = self.control.borrow_and_update().clone();
            let control_key = control_key(context.name());
            let acquisition = Lease::acquire(
                &*context.documents,
                &context.membership,
                &self.key,
                context.consumer.starts_after(),
                KnownControl {
                    key: &control_key,
                    revision: known.revision,
                },
            );
            let pause = match acquisition.await {
                Ok(Acquisition::Acquired(lease)) => {
                    context.membership.acquired(&self.key);
                    return Some(lease);
                }
                Ok(Acquisition::HeldElsewhere(checkpoint)) => {
                    self.report_other_node(checkpoint, known.control.resumed);
                    failures = 0;
                    context.poll_interval()
                }
                Ok(Acquisition::OutdatedControl) => {
                    context.control_changed.notify_one();
                    FAST_POLL
                }
                Err(StoreError::Closed) => return None,
                Err(error) => {
                    failures += 1;
                    self.reporter.set_retrying(error_chain(&error));
                    context.retry.pause(failures)
                }
            };
            tokio::select! {
                changed = self.control.changed() => if changed.is_err() { return None },
                () = arrived => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Releases the lease, so that others can acquire it at once.
    pub async fn release(&self, lease: Lease<Checkpoint>) {
        if let Err(error) = lease.release(&*self.context.documents).await {
            debug!(%error, "cannot release the lease; it will expire");
        }
        self.released();
    }

    /// Records that this node does not hold the lease any more.
    pub fn released(&self) {
        self.context.membership.released(&self.key);
    }

    /// Waits before it competes for the lease again, so that nodes with newer code can acquire it.
    pub async fn yield_to_newer_code(&self) {
        let membership = &self.context.membership;
        membership.unregister(&self.key);
        tokio::select! {
            () = tokio::time::sleep(membership.lease() * 2) => {}
            () = self.shutdown() => {}
        }
        membership.register(&self.key);
    }

    fn report_other_node(&self, checkpoint: Checkpoint, resumed: u64) {
        let head = self.context.head();
        let holder = checkpoint.holder;
        let is_seen = holder.is_none_or(|holder| self.context.membership.is_seen(holder));
        self.reporter.update(|status| {
            let position = checkpoint.reached();
            // Read here, so that a user who has just resumed does not see an earlier stop.
            let resumed = resumed.max(self.context.last_resume());
            let stopped = checkpoint.stopped.filter(|stop| stop.resumed >= resumed);
            status.state = match &stopped {
                Some(_) => ConsumerState::Stopped,
                None if is_seen => ConsumerState::OnOtherNode,
                None => ConsumerState::AwaitingLease,
            };
            status.node = checkpoint.holder;
            status.head = head;
            status.dead_letters = checkpoint.dead_letters;
            status.newest = checkpoint.newest;
            status.last_error = stopped.map(|stop| stop.error);
            status.advance(position);
        });
    }
}

impl Drop for LeaseHolder {
    fn drop(&mut self) {
        self.context.membership.unregister(&self.key);
    }
}
