//! [`PartitionSession`]: the state of a worker while it holds the lease of a partition.

use factum_core::position::Position;
use factum_engine::error::StoreError;

use super::batch::BatchError;
use super::dead_letter_queue::DeadLetterQueue;
use super::deferred_checkpoint::DeferredCheckpoint;
use super::lease::{Checkpoint, Stop};
use super::retry_progress::RetryProgress;
use crate::failure_log::FailureLog;
use crate::lease::Lease;

/// The state of a worker while it holds the lease of a partition.
pub struct PartitionSession {
    /// The lease.
    pub lease: Lease<Checkpoint>,
    /// The dead letters of the partition.
    pub queue: DeadLetterQueue,
    /// The number of changes of single dead letters when the queue was loaded.
    pub known_dead_letter_changes: u64,
    /// The retry of dead letters.
    pub retry: RetryState,
    /// A page without events of the partition that was not recorded yet.
    pub deferred: DeferredCheckpoint,
    /// The number of failures since the last page, without outages of the store.
    pub failures: u32,
    /// The number of failures since the last page because of an outage of the store.
    pub outages: u32,
    /// The failures that are logged.
    pub failure_log: FailureLog,
}

/// The retry of dead letters of a partition.
pub enum RetryState {
    /// Nothing is retried.
    Idle,
    /// The queue was loaded, so it must be checked for streams to retry.
    Loaded,
    /// A retry is in progress.
    Running(RetryProgress),
}

impl PartitionSession {
    /// Creates the session of a lease that was just acquired.
    pub fn new(lease: Lease<Checkpoint>) -> Self {
        Self {
            lease,
            queue: DeadLetterQueue::default(),
            known_dead_letter_changes: 0,
            retry: RetryState::Idle,
            deferred: DeferredCheckpoint::default(),
            failures: 0,
            outages: 0,
            failure_log: FailureLog::default(),
        }
    }
}

/// The reason why a worker stopped processing events of its partition.
pub enum SessionEnd {
    /// The partition is not needed any more, or this node shuts down.
    Shutdown,
    /// The store was closed, so no consumer continues.
    Closed,
    /// The lease must be released to a node with fewer partitions.
    Release,
    /// Another node has taken over the lease.
    LeaseLost,
    /// A user has paused the consumer.
    Paused,
    /// The next event needs newer code, for this reason.
    NewerCode(String),
    /// The control document has changed: start again.
    Restart,
    /// A batch failed.
    Failed(BatchError),
    /// The failure policy stops the consumer, for this reason.
    Stopped(String),
    /// The checkpoint is beyond the head of the log, which is at this position.
    BeyondHead(Position),
    /// The checkpoint was beyond the head when the consumer stopped.
    StillStopped(Stop),
}

impl From<BatchError> for SessionEnd {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::LeaseLost => Self::LeaseLost,
            BatchError::Store(StoreError::Closed) => Self::Closed,
            BatchError::Store(StoreError::BeyondHead { head, .. }) => Self::BeyondHead(head),
            error => Self::Failed(error),
        }
    }
}

impl From<StoreError> for SessionEnd {
    fn from(error: StoreError) -> Self {
        BatchError::from(error).into()
    }
}
