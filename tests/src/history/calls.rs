//! [`History`]: the calls of a run, and their responses.

use factum::store::{
    Append, AppendError, Appended, Conflict, Page, Query, Read, RecordedEvent, StoreError,
};

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
            Err(error @ AppendError::EventIdReused { .. }) => Self::NotStored(error.to_string()),
            Err(AppendError::Store(error @ StoreError::Unavailable(_))) => {
                Self::NotStored(error.to_string())
            }
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}

impl History {
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
