//! [`JoinedConsumer`]: a connected consumer, as its call sees it; and [`ConsumerLink`], its other end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use factum::store::RecordedEvent;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::error::GroupError;
use super::failure::EventFailure;
use super::session::Notice;
pub use super::stop::StopReason;
use super::window::SessionId;

/// The number of messages in the queue of a consumer beside its deliveries.
const CONTROL_MESSAGES: usize = 64;

/// A notice with an event of the log.
pub type EventNotice = Notice<Arc<RecordedEvent>>;

/// The progress of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportedProgress {
    /// The position up to which every event is settled and stored.
    pub position: u64,
    /// The head of the log.
    pub head: u64,
    /// The number of dead letters.
    pub dead_letters: u64,
}

/// The end of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The reason.
    pub reason: StopReason,
    /// The reason, for people.
    pub message: String,
    /// The position of the group.
    pub position: u64,
}

/// A consumer that wants to join a group.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// Its name, for people.
    pub name: String,
    /// The number of events that it can take; `u32::MAX` if only its unanswered deliveries are limited.
    pub credit: u32,
    /// The maximum number of its unanswered deliveries, beside that of the group.
    pub max_in_flight: u32,
    /// The time without a message after which it is considered dead.
    pub session_timeout: Duration,
}

/// An answer of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerRequest {
    /// The consumer can take further events.
    Credit(u32),
    /// Events were processed, or are to be skipped.
    Settle {
        /// The partition.
        partition: u16,
        /// The fencing token.
        fence: u64,
        /// The positions.
        positions: Vec<u64>,
    },
    /// An event was not processed.
    Fail {
        /// The partition.
        partition: u16,
        /// The fencing token.
        fence: u64,
        /// The position.
        position: u64,
        /// The consequence and the reason.
        failure: EventFailure,
    },
    /// The group must stop.
    Stop {
        /// The partition.
        partition: u16,
        /// The fencing token.
        fence: u64,
        /// The position of the event.
        position: u64,
        /// The reason.
        reason: String,
    },
    /// The consumer is alive.
    Heartbeat,
}

/// A request to the actor of a group.
#[derive(Debug)]
pub enum ActorCommand {
    /// A consumer joins.
    Join(
        SessionId,
        JoinRequest,
        oneshot::Sender<Result<JoinedConsumer, GroupError>>,
    ),
    /// A consumer answers.
    Request(SessionId, ConsumerRequest),
    /// A consumer leaves.
    Leave(SessionId, StopReason, String),
    /// The documents of the group have changed.
    Reload,
    /// The server stops.
    Stop,
    /// Returns the consumers.
    Describe(oneshot::Sender<Vec<ConnectedConsumer>>),
}

/// A consumer, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedConsumer {
    /// The name that it chose.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<u16>,
    /// The number of unanswered deliveries.
    pub in_flight: u32,
    /// The number of events that can be delivered to it now.
    pub free_slots: u32,
    /// The time since its last message.
    pub silent_for: Duration,
}

/// The end of a consumer's queue in the actor.
#[derive(Debug)]
pub struct ConsumerLink {
    notices: mpsc::Sender<EventNotice>,
    stopped: Arc<OnceLock<Stopped>>,
    /// The name that the consumer chose.
    pub name: String,
}

impl ConsumerLink {
    /// Returns the number of deliveries that fit into the queue.
    pub fn room(&self) -> usize {
        self.notices.capacity().saturating_sub(CONTROL_MESSAGES)
    }

    /// Adds a notice to the queue; returns whether it fits.
    #[must_use]
    pub fn send(&self, notice: EventNotice) -> bool {
        match self.notices.try_send(notice) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => false,
        }
    }

    /// Ends the queue with a reason.
    pub fn stop(self, stopped: Stopped) {
        // The first reason wins.
        let _ = self.stopped.set(stopped);
    }
}

/// A message for a consumer.
#[derive(Debug, Clone, PartialEq)]
pub enum ConsumerMessage {
    /// A notice.
    Notice(EventNotice),
    /// The progress of the group.
    Checkpoint(ReportedProgress),
    /// The last message.
    Stopped(Stopped),
}

/// A consumer that joined a group. If it is dropped, the consumer leaves.
#[derive(Debug)]
pub struct JoinedConsumer {
    session: SessionId,
    notices: mpsc::Receiver<EventNotice>,
    stopped: Arc<OnceLock<Stopped>>,
    progress: watch::Receiver<ReportedProgress>,
    commands: mpsc::Sender<ActorCommand>,
    is_ended: bool,
}

/// Creates both ends of a consumer.
pub fn consumer(
    session: SessionId,
    name: String,
    max_in_flight: u32,
    progress: watch::Receiver<ReportedProgress>,
    commands: mpsc::Sender<ActorCommand>,
) -> (ConsumerLink, JoinedConsumer) {
    let (notices, receiver) = mpsc::channel(max_in_flight as usize + CONTROL_MESSAGES);
    let stopped = Arc::new(OnceLock::new());
    let link = ConsumerLink {
        notices,
        stopped: stopped.clone(),
        name,
    };
    let handle = JoinedConsumer {
        session,
        notices: receiver,
        stopped,
        progress,
        commands,
        is_ended: false,
    };
    (link, handle)
}

impl JoinedConsumer {
    /// Returns a sender of the requests of this consumer.
    pub fn requests(&self) -> ConsumerRequests {
        ConsumerRequests {
            session: self.session,
            commands: self.commands.clone(),
        }
    }

    /// Returns the last known progress of the group.
    pub fn progress(&self) -> ReportedProgress {
        *self.progress.borrow()
    }

    /// Waits for the next message; at `deadline`, returns the progress of the group. `None` after the last message.
    pub async fn next(&mut self, deadline: Instant) -> Option<ConsumerMessage> {
        if self.is_ended {
            return None;
        }
        tokio::select! {
            biased;
            notice = self.notices.recv() => match notice {
                Some(notice) => Some(ConsumerMessage::Notice(notice)),
                None => {
                    self.is_ended = true;
                    Some(ConsumerMessage::Stopped(self.end()))
                }
            },
            () = sleep_until(deadline) => Some(ConsumerMessage::Checkpoint(self.progress())),
        }
    }

    fn end(&self) -> Stopped {
        let stopped = self.stopped.get().cloned();
        stopped.unwrap_or_else(|| Stopped {
            reason: StopReason::StoreFailed,
            message: "the group ended without a reason; see the log of the server".to_owned(),
            position: self.progress().position,
        })
    }
}

impl Drop for JoinedConsumer {
    fn drop(&mut self) {
        let left = ActorCommand::Leave(
            self.session,
            StopReason::ConsumerLeft,
            "the connection ended".to_owned(),
        );
        let commands = self.commands.clone();
        // The queue of commands may be full.
        if let Err(mpsc::error::TrySendError::Full(left)) = commands.try_send(left)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { commands.send(left).await });
        }
    }
}

/// Sends the requests of a consumer to the actor of its group.
#[derive(Debug, Clone)]
pub struct ConsumerRequests {
    session: SessionId,
    commands: mpsc::Sender<ActorCommand>,
}

impl ConsumerRequests {
    /// Sends a request; waits while the queue of the group is full. Returns whether the group still runs.
    pub async fn send(&self, request: ConsumerRequest) -> bool {
        let request = ActorCommand::Request(self.session, request);
        self.commands.send(request).await.is_ok()
    }

    /// Ends the consumer with a reason.
    pub async fn leave(&self, reason: StopReason, message: impl Into<String>) {
        // An error means that the group ended.
        let left = ActorCommand::Leave(self.session, reason, message.into());
        let _ = self.commands.send(left).await;
    }
}
