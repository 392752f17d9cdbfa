//! Histories: what concurrent clients asked a store and were told, and whether any correct store could
//! have told them so.
//!
//! A run ([`run()`]) lets clients append and read at random while subscribers look on, and notes when each
//! call began and ended. The checker ([`History::check`]) holds the history against the rules of a store.
//! The correctness condition is linearizability (Herlihy and Wing, *Linearizability: A Correctness Condition
//! for Concurrent Objects*, 1990), of the store as a whole, not of each stream: every call has its effect,
//! or sees the store, at one instant between its beginning and its end.
//!
//! To decide that takes a search in general (Wing and Gong, *Testing and Verifying Concurrent Objects*,
//! 1993; Lowe, *Testing for Linearizability*, 2017). Here it takes none, because the order of the writes is
//! known (Gibbons and Korach, *Testing Shared Memories*, 1997): positions tell it. The state of a store is
//! its log up to some head, so
//!
//! 1. each answer is right at the heads of one interval: that a stream was at version 3 is true from the
//!    position of its third event to just ahead of its fourth; an append that was stored changes the head
//!    from the end of its neighbour to its own; a page holds its head;
//! 2. each call, in the order in which they began, gets the least head at which its answer is right and
//!    which no call that had ended by then has passed. Where there is none, no order of the calls explains
//!    the answers.
//!
//! The least head is always the best choice, since it leaves the most to the calls behind. Sorting the
//! calls costs most: O(n log n). A false conflict is a case of 2: an expectation that held all the while is
//! right at no head that the call could see. So is a stale read, and an append that was stored behind one
//! that came later.
//!
//! A call that ended with an error of the backend may have had its effect at any time since (Herlihy and
//! Wing's *pending* call), or none.

mod anomaly;
mod check;
mod log;
mod random;
mod run;

use factum::{
    Append, AppendError, Appended, Conflict, Page, Query, Read, RecordedEvent, StoreError,
};

pub use anomaly::Anomaly;
pub use run::{Plan, run};

/// What happened in one run, on a store that was empty before.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What was asked, and what was answered.
    pub calls: Vec<Call>,
    /// Everything that the store held when all was quiet.
    pub log: Vec<RecordedEvent>,
    /// What each subscriber saw.
    pub subscribers: Vec<Subscriber>,
}

/// One question to the store.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asked.
    pub client: usize,
    /// When it was asked: a tick of a clock that all clients share, and that ticks once for each of them.
    pub began: u64,
    /// When it was answered.
    pub ended: u64,
    /// What.
    pub kind: Kind,
}

/// A question and its answer.
#[derive(Debug, Clone)]
pub enum Kind {
    /// An append.
    Append(Append, Answer),
    /// A read, of a client or of a subscriber.
    Read(Read, Page),
}

/// What an append was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is stored, now or, `repeated`, under its key before.
    Stored(Appended),
    /// An expectation did not hold.
    Conflict(Conflict),
    /// The key stands for other content.
    KeyReused,
    /// It was not stored, for a reason that tells nothing about the events.
    NotStored(String),
    /// It may have been stored.
    Unknown(String),
}

/// One that was told of every event that matches a query.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// What it asked for.
    pub query: Query,
    /// What it was told, in that order.
    pub seen: Vec<RecordedEvent>,
}

/// How often what was answered: a run in which nobody met anybody shows nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Appends that were stored.
    pub stored: usize,
    /// Appends that were told the first answer to their key again.
    pub repeated: usize,
    /// Appends with a key that stands for other content.
    pub reused: usize,
    /// Appends that were rejected.
    pub conflicts: usize,
    /// Appends that met an error of the backend.
    pub failed: usize,
    /// Reads.
    pub reads: usize,
}

impl From<Result<Appended, AppendError>> for Answer {
    fn from(answer: Result<Appended, AppendError>) -> Self {
        match answer {
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
    /// Looks for what no correct store could have answered. `Ok`: there is an order of the calls that
    /// explains every answer, and every subscriber saw the events in the order of the log.
    ///
    /// # Errors
    /// The first [`Anomaly`] found; [`Self::describe`] shows it with the calls around it.
    pub fn check(&self) -> Result<(), Anomaly> {
        check::check(self)
    }

    /// How often what was answered.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for call in &self.calls {
            *match &call.kind {
                Kind::Read(..) => &mut tally.reads,
                Kind::Append(_, Answer::Stored(appended)) if appended.repeated => {
                    &mut tally.repeated
                }
                Kind::Append(_, Answer::Stored(_)) => &mut tally.stored,
                Kind::Append(_, Answer::Conflict(_)) => &mut tally.conflicts,
                Kind::Append(_, Answer::KeyReused) => &mut tally.reused,
                Kind::Append(_, Answer::NotStored(_) | Answer::Unknown(_)) => &mut tally.failed,
            } += 1;
        }
        tally
    }
}
