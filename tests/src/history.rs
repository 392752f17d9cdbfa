//! Records what concurrent clients do with a store, and checks that the responses are linearizable.
//!
//! A run ([`run()`]) lets clients append and read at random while subscribers follow the log, and records when
//! each call started and ended. The checker ([`History::check`]) compares the history with the rules of a store.
//! The correctness condition is linearizability (Herlihy and Wing, *Linearizability: A Correctness Condition
//! for Concurrent Objects*, 1990), of the store as a whole, not of each stream: every call takes effect, or
//! observes the store, at one instant between its start and its end.
//!
//! In general, the check needs a search (Wing and Gong, *Testing and Verifying Concurrent Objects*, 1993; Lowe,
//! *Testing for Linearizability*, 2017). No search is needed here, because the positions give the order of the
//! writes (Gibbons and Korach, *Testing Shared Memories*, 1997). The state of a store is its log up to some head.
//! Two rules follow:
//!
//! 1. Each response is valid at the heads of one interval. For example, a stream is at version 3 from the position
//!    of its third event until just before its fourth. A stored append moves the head from the end of the previous
//!    append to its own end. A page contains its head.
//! 2. Each call, in the order in which they started, gets the smallest head at which its response is valid and
//!    that is not before a head of a call that had already ended. If there is none, no order of the calls
//!    explains the responses.
//!
//! The smallest head is always the best choice, because it leaves the most heads to later calls. Sorting the
//! calls dominates the cost: O(n log n). A false conflict violates rule 2: the response is valid at no head
//! that the call could observe. So do a stale read, and an append that was stored before an append that had
//! already ended.
//!
//! A call that ended with an error of the backend is *pending* (Herlihy and Wing): it may take effect at any time
//! after its start, or never.

mod anomaly;
mod check;
mod log;
mod random;
mod run;

use factum::store::{
    Append, AppendError, Appended, Conflict, Page, Query, Read, RecordedEvent, StoreError,
};

pub use anomaly::Anomaly;
pub use run::{Plan, run};

/// The calls and the events of one run on an empty store.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The calls of all clients and subscribers.
    pub calls: Vec<Call>,
    /// All events of the store at the end of the run.
    pub log: Vec<RecordedEvent>,
    /// The events that each subscriber received.
    pub subscribers: Vec<Subscriber>,
}

/// One call of the store.
#[derive(Debug, Clone)]
pub struct Call {
    /// The number of the client or subscriber.
    pub client: usize,
    /// The start of the call, in ticks of a clock that all clients share. Each tick is unique.
    pub started: u64,
    /// The end of the call.
    pub ended: u64,
    /// The operation and its response.
    pub kind: Kind,
}

/// An operation and its response.
#[derive(Debug, Clone)]
pub enum Kind {
    /// An append of a client.
    Append(Append, Response),
    /// A read of a client or a subscriber.
    Read(Read, Page),
}

/// The response to an append.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// The append is stored. If `repeated`, an earlier append with the same key is stored.
    Stored(Appended),
    /// An expected version or the append condition did not hold.
    Conflict(Conflict),
    /// The key was used for other content.
    KeyReused,
    /// The append was not stored, for a reason that does not depend on the events.
    NotStored(String),
    /// The append may have been stored.
    Unknown(String),
}

/// A subscriber to the events that match a query.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// The query of the subscription.
    pub query: Query,
    /// The received events, in the order in which they arrived.
    pub seen: Vec<RecordedEvent>,
}

/// The number of responses of each kind. A run without conflicts checks little.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Appends that were stored.
    pub stored: usize,
    /// Appends that got the first response to their key again.
    pub repeated: usize,
    /// Appends with a key that was used for other content.
    pub reused: usize,
    /// Appends that conflicted.
    pub conflicts: usize,
    /// Appends that failed with an error of the backend.
    pub failed: usize,
    /// Reads.
    pub reads: usize,
}

impl From<Result<Appended, AppendError>> for Response {
    fn from(result: Result<Appended, AppendError>) -> Self {
        match result {
            Ok(appended) => Self::Stored(appended),
            Err(AppendError::Conflict(conflict)) => Self::Conflict(conflict),
            Err(AppendError::KeyReused { .. }) => Self::KeyReused,
            Err(AppendError::Invalid(error)) => Self::NotStored(error.to_string()),
            Err(AppendError::Store(error @ StoreError::Unavailable(_))) => {
                Self::NotStored(error.to_string())
            }
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}

impl History {
    /// Checks that the history is linearizable, and that subscribers received the events in log order.
    ///
    /// # Errors
    /// Returns the first [`Anomaly`] found; [`Self::describe`] shows it with the related calls.
    pub fn check(&self) -> Result<(), Anomaly> {
        check::check(self)
    }

    /// Counts the responses of each kind.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for call in &self.calls {
            *match &call.kind {
                Kind::Read(..) => &mut tally.reads,
                Kind::Append(_, Response::Stored(appended)) if appended.repeated => {
                    &mut tally.repeated
                }
                Kind::Append(_, Response::Stored(_)) => &mut tally.stored,
                Kind::Append(_, Response::Conflict(_)) => &mut tally.conflicts,
                Kind::Append(_, Response::KeyReused) => &mut tally.reused,
                Kind::Append(_, Response::NotStored(_) | Response::Unknown(_)) => &mut tally.failed,
            } += 1;
        }
        tally
    }
}
