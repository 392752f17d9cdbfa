//! [`ConsumerContext`]: the state that the tasks of one consumer share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use factum_core::document::DocumentStore;
use factum_core::position::Position;
use factum_core::store::EventStore;
use factum_engine::engine::RetryPolicy;
use tokio::sync::{Notify, watch};

use super::boxed_consumer::{BoxedConsumer, BoxedReadModel};
use super::dead_letter_store::DeadLetterStore;
use super::failure_policy::FailurePolicy;
use super::observer::ConsumerObserver;
use super::status_tracker::StatusTracker;
use super::waiters::Waiters;
use crate::membership::Membership;

/// The interval at which the progress of other nodes is read while a caller waits for it.
pub const FAST_POLL: Duration = Duration::from_millis(20);
/// The time for which the active build is held, after every node has read the request.
///
/// The replacement of the build can overtake it in this time.
pub const PROMOTION_PAUSE: Duration = Duration::from_millis(250);

/// The state that the tasks of one consumer share.
pub struct ConsumerContext {
    /// The consumer.
    pub consumer: Arc<dyn BoxedConsumer>,
    /// The store of the events.
    pub store: Arc<dyn EventStore>,
    /// The store of the checkpoints.
    pub documents: Arc<dyn DocumentStore>,
    /// The nodes that share the checkpoints.
    pub membership: Arc<Membership>,
    /// The status of the partitions.
    pub status: StatusTracker,
    /// The number of retries of a failed operation, and the pauses between them.
    pub retry: RetryPolicy,
    /// The policy for events that fail permanently.
    pub failure_policy: FailurePolicy,
    /// The callers that wait for a position.
    pub waiters: Waiters,
    /// Set once the consumer does not run any more on this node.
    pub ended: watch::Sender<bool>,
    /// Set once the workers must not finish their batches any more.
    pub aborted: watch::Sender<bool>,
    /// Set once a worker has found that the store is closed.
    closed: AtomicBool,
    /// Notifies that a user of this node has changed the control document.
    pub control_changed: Notify,
    /// Notifies that a worker has processed a batch of a build that is not active.
    pub build_advanced: Notify,
    /// The number of the newest request to resume that a user of this node made.
    ///
    /// Stops before this request are no longer reported.
    resumed: AtomicU64,
}

impl ConsumerContext {
    /// Creates the context of a consumer.
    pub fn new(
        consumer: Arc<dyn BoxedConsumer>,
        store: Arc<dyn EventStore>,
        documents: Arc<dyn DocumentStore>,
        membership: Arc<Membership>,
        retry: RetryPolicy,
        failure_policy: FailurePolicy,
    ) -> Self {
        Self {
            status: StatusTracker::new(consumer.name()),
            consumer,
            store,
            documents,
            membership,
            retry,
            failure_policy,
            waiters: Waiters::default(),
            ended: watch::Sender::new(false),
            aborted: watch::Sender::new(false),
            closed: AtomicBool::new(false),
            control_changed: Notify::new(),
            build_advanced: Notify::new(),
            resumed: AtomicU64::new(0),
        }
    }

    /// Returns an observer of the consumer.
    pub fn observer(&self) -> ConsumerObserver {
        ConsumerObserver::new(self.status.watch(), self.ended.subscribe(), &self.store)
    }

    /// Returns the name of the consumer.
    pub fn name(&self) -> &str {
        self.consumer.name()
    }

    /// Returns the read model of the consumer, if it has one.
    pub fn read_model(&self) -> Option<&dyn BoxedReadModel> {
        self.consumer.read_model()
    }

    /// Returns the version of the builds that this code processes.
    pub fn version(&self) -> u32 {
        self.read_model().map_or(1, BoxedReadModel::version)
    }

    /// Returns whether no other node sees the checkpoints.
    pub fn is_local(&self) -> bool {
        let local = self.read_model().and_then(BoxedReadModel::local_documents);
        local.is_some()
    }

    /// Returns the newest known position of the log.
    pub fn head(&self) -> Position {
        *self.store.watch().borrow()
    }

    /// Returns the dead letters of `build`.
    pub fn dead_letters(&self, build: u64) -> DeadLetterStore<'_> {
        DeadLetterStore::new(&*self.store, &*self.documents, self.name(), build)
    }

    /// Returns how long to wait before the progress of other nodes is read again.
    pub fn poll_interval(&self) -> Duration {
        if self.waiters.any() {
            FAST_POLL
        } else {
            self.membership.poll_interval()
        }
    }

    /// Records that the store is closed, which ends the consumer.
    ///
    /// The documents of a read model in memory do not report it.
    pub fn record_closed(&self) {
        self.closed.store(true, SeqCst);
        self.control_changed.notify_one();
    }

    /// Returns whether the store is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Records a request to resume that a user of this node made.
    pub fn record_resume(&self, request: u64) {
        self.resumed.fetch_max(request, SeqCst);
    }

    /// Returns the number of the newest request to resume that a user of this node made.
    pub fn last_resume(&self) -> u64 {
        self.resumed.load(SeqCst)
    }
}
