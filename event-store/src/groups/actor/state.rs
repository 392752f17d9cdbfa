//! [`Actor`]: the state of the actor of a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use factum::store::{DocumentError, Page, RecordedEvent, Revision, Store, StoreError};
use factum_runtime::lease::Lease;
use factum_runtime::membership::Membership;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::groups::consumer::{ActorCommand, ConsumerLink, ReportedProgress, StopReason, Stopped};
use crate::groups::coordinator::Coordinator;
use crate::groups::group_document::{GroupName, VersionedGroup};
use crate::groups::metrics::record_redelivery;
use crate::groups::partition_state::PartitionState;
use crate::groups::session::Notice;
use crate::groups::settlement::PartitionWrite;
use crate::groups::window::{Millis, SessionId};

/// The time between the starts of two writes. Answers of this time are written together.
pub const WRITE_INTERVAL: Duration = Duration::from_millis(20);
/// The time after which a position that moved without answers is written.
pub const MOVED_INTERVAL: Duration = Duration::from_secs(5);
/// The pause after a failure of the store.
pub const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// The surroundings of the actor of a group.
pub struct ActorContext {
    /// The store.
    pub store: Arc<dyn Store>,
    /// This server process among the others.
    pub membership: Arc<Membership>,
    /// The name of the group.
    pub name: GroupName,
    /// The queue of the actor, for its consumers.
    pub commands: mpsc::WeakSender<ActorCommand>,
}

/// The actor of a group.
pub struct Actor {
    /// The surroundings of the actor.
    pub context: ActorContext,
    /// The document of the group.
    pub control: VersionedGroup,
    /// The leases of this process.
    pub leases: BTreeMap<u16, Lease<PartitionState>>,
    /// The partitions that other processes hold, as they were read last.
    pub elsewhere: BTreeMap<u16, PartitionState>,
    /// The partitions and consumers of this process.
    pub coordinator: Coordinator<Arc<RecordedEvent>>,
    /// The ends of the consumers' queues.
    pub consumers: BTreeMap<SessionId, ConsumerLink>,
    /// The progress of the group.
    pub progress: watch::Sender<ReportedProgress>,
    /// The head of the log.
    pub head: watch::Receiver<Position>,
    /// The start of the actor.
    pub started: Instant,
    /// The read of the next page.
    pub page: Option<BoxFuture<'static, PageRead>>,
    /// The read of retried dead letters.
    pub retries: Option<BoxFuture<'static, RetryRead>>,
    /// The write that runs.
    pub write: Option<BoxFuture<'static, Write>>,
    /// Set after a conflict or an unknown outcome of a write: the leases have to be read again.
    pub must_reload: bool,
    /// Set after a lease was acquired: the log has to be read even if it has no news, to notice that it is older.
    pub must_read: bool,
    /// The time of the next poll of the documents.
    pub poll_at: Instant,
    /// The earliest time of the next read.
    pub read_at: Instant,
    /// The earliest time of the next write.
    pub write_at: Instant,
    /// The time of the next write of positions that only moved.
    pub moved_at: Instant,
    /// Set when the actor ends.
    pub ending: Option<Stopped>,
}

/// A page of the log.
pub struct PageRead {
    /// The position after which the page begins.
    pub after: u64,
    /// The page.
    pub page: Result<Page, StoreError>,
}

/// The events of retried dead letters, with their partitions and positions.
pub struct RetryRead {
    /// The partition, the position and the event of each.
    pub events: Vec<(u16, u64, Result<Option<RecordedEvent>, StoreError>)>,
}

/// A write that has ended.
pub struct Write {
    /// The written states.
    pub partitions: Vec<PartitionWrite>,
    /// The new revision.
    pub result: Result<Revision, DocumentError>,
}

impl Actor {
    /// Creates the actor of a group.
    pub fn new(context: ActorContext, control: VersionedGroup) -> Self {
        let now = Instant::now();
        let head = context.store.watch();
        Self {
            coordinator: Coordinator::new(control.document.settings.clone()),
            context,
            control,
            leases: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            consumers: BTreeMap::new(),
            progress: watch::Sender::default(),
            head,
            started: now,
            page: None,
            retries: None,
            write: None,
            must_reload: false,
            must_read: false,
            poll_at: now,
            read_at: now,
            write_at: now,
            moved_at: now + MOVED_INTERVAL,
            ending: None,
        }
    }

    /// Returns the time since the start of the actor.
    pub fn now(&self) -> Millis {
        self.started.elapsed().as_millis() as Millis
    }

    /// Sends the notices of the coordinator to the consumers.
    pub fn send_notices(&mut self) {
        loop {
            let mut slow = Vec::new();
            for (session, notice) in self.coordinator.take_notices() {
                if let Notice::Delivery { attempt: 2.., .. } = &notice {
                    record_redelivery(&self.context.name);
                }
                let link = self.consumers.get(&session);
                if link.is_some_and(|link| !link.send(notice)) {
                    slow.push(session);
                }
            }
            if slow.is_empty() {
                return;
            }
            for session in slow {
                let message = "the consumer does not read its messages";
                self.remove_consumer(session, StopReason::ConsumerSlow, message);
            }
        }
    }

    /// Removes a consumer, with the reason that it gets.
    pub fn remove_consumer(&mut self, session: SessionId, reason: StopReason, message: &str) {
        let now = self.now();
        self.coordinator.leave(session, now);
        if let Some(link) = self.consumers.remove(&session) {
            link.stop(Stopped {
                reason,
                message: message.to_owned(),
                position: self.progress.borrow().position,
            });
        }
    }

    /// Ends the actor: all consumers are stopped for this reason.
    pub fn end(&mut self, reason: StopReason, message: impl Into<String>) {
        let position = self.progress.borrow().position;
        self.ending.get_or_insert_with(|| Stopped {
            reason,
            message: message.into(),
            position,
        });
    }

    /// Reports the progress of the group to the consumers.
    pub fn report_progress(&self) {
        let held = self.leases.iter().map(|(partition, lease)| {
            let stored = lease.state();
            let held = self.coordinator.partition(*partition);
            let held = held.filter(|held| !held.settlement.is_unwritten());
            let position = held.map_or(stored.position, |held| held.window.checkpoint());
            (position, stored.dead_letters)
        });
        let elsewhere = self.elsewhere.values();
        let elsewhere = elsewhere.map(|state| (state.position, state.dead_letters));
        let (mut position, mut dead_letters) = (u64::MAX, 0);
        for (at, letters) in held.chain(elsewhere) {
            position = position.min(at);
            dead_letters += u64::from(letters);
        }
        if position == u64::MAX {
            position = self.control.document.start;
        }
        let head = self.head.borrow().get().max(position);
        let progress = ReportedProgress {
            position,
            head,
            dead_letters,
        };
        self.progress.send_if_modified(|known| {
            let is_new = *known != progress;
            *known = progress;
            is_new
        });
    }
}
