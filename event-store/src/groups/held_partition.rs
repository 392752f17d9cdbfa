//! [`HeldPartition`]: a partition whose lease this server process holds, and the consumer that it is assigned to.

use super::partition_state::PartitionState;
use super::settlement::Settlement;
use super::window::{Millis, SessionId, Window};

/// A partition whose lease this server process holds.
#[derive(Debug)]
pub struct HeldPartition<E> {
    /// The events after the checkpoint.
    pub window: Window<E>,
    /// The changes that are not written.
    pub settlement: Settlement,
    /// The fencing token of the current assignment.
    pub fence: u64,
    /// The consumer.
    pub owner: Owner,
}

/// The consumer that a partition is assigned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// There is none.
    Free,
    /// The partition belongs to a session.
    Session(SessionId),
    /// The session answers its deliveries until this time and gets no further ones. Then the partition is free.
    Returning(SessionId, Millis),
    /// Like `Returning`, and then the lease is released to another server process.
    Leaving(Option<SessionId>, Millis),
}

impl Owner {
    /// Returns the session whose answers count.
    pub fn session(self) -> Option<SessionId> {
        match self {
            Self::Free => None,
            Self::Session(session) | Self::Returning(session, _) => Some(session),
            Self::Leaving(session, _) => session,
        }
    }
}

impl<E: Clone> HeldPartition<E> {
    /// Creates a partition with the stored state.
    pub fn new(stored: &PartitionState, fence: u64) -> Self {
        Self {
            window: Window::load(stored),
            settlement: Settlement::new(stored),
            fence,
            owner: Owner::Free,
        }
    }

    /// Returns whether a return or a release is due.
    pub fn is_return_due(&self, now: Millis) -> bool {
        match self.owner {
            Owner::Returning(_, until) | Owner::Leaving(_, until) => {
                now >= until || self.window.in_flight() == 0
            }
            Owner::Free | Owner::Session(_) => false,
        }
    }

    /// Returns the time at which a return or a release is due at the latest.
    pub fn return_deadline(&self) -> Option<Millis> {
        match self.owner {
            Owner::Returning(_, until) | Owner::Leaving(_, until) => Some(until),
            Owner::Free | Owner::Session(_) => None,
        }
    }
}
