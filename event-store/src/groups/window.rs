//! [`Window`]: the events of a partition between its checkpoint and the place up to which the log was examined.
//!
//! The window selects the next event, knows the settled ones, and computes the checkpoint. It is a state machine without
//! I/O and without a clock. Each event is in one phase:
//!
//! ```text
//! waiting ──► ready ──► in flight ──► settled (acknowledged, skipped or dead letter)
//!               ▲           │ failed
//!               └─ backing off ◄┘
//! ```
//!
//! An event waits while an earlier event of its key is not settled. Retried dead letters are before the checkpoint; they
//! use the same phases and the same keys.

mod failures;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::key_queue::KeyQueue;
use super::partition_state::{Attempts, PartitionState};

/// The maximum number of events after the checkpoint of a partition, settled or not.
pub const MAX_WINDOW: usize = 1_000;

/// A time in milliseconds since the start of the process.
pub type Millis = u64;

/// The number of a connection of a consumer, unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// An event that was read for a partition.
#[derive(Debug, Clone)]
pub struct Offered<E> {
    /// The position in the log.
    pub position: u64,
    /// The partition key; `None` if the event has no order.
    pub key: Option<Arc<str>>,
    /// The size in bytes.
    pub size: usize,
    /// A number that is the same for all events that a pinned distribution gives to the same consumer.
    pub pin: u64,
    /// The event.
    pub event: E,
}

/// The reason why an answer of a consumer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotInFlight;

/// A failed event that became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterDraft {
    /// The position of the event.
    pub position: u64,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The reason.
    pub reason: String,
}

/// An event that is not in flight any more, and the session that had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The session.
    pub session: SessionId,
    /// Set if the event became a dead letter.
    pub dead_letter: Option<DeadLetterDraft>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventPhase {
    Waiting,
    Ready,
    InFlight(SessionId, Millis),
    BackingOff(Millis),
}

#[derive(Debug)]
struct WindowEntry<E> {
    offered: Offered<E>,
    phase: EventPhase,
    attempts: Attempts,
    /// The session that received the event last, if its answer still counts.
    last: Option<SessionId>,
}

/// The events of a partition that are read and not settled, and the settled ones after the checkpoint.
#[derive(Debug)]
pub struct Window<E> {
    examined: u64,
    entries: BTreeMap<u64, WindowEntry<E>>,
    settled: BTreeSet<u64>,
    /// The attempts of events that were loaded and not read yet.
    known_attempts: BTreeMap<u64, Attempts>,
    /// Retried dead letters that are not settled.
    retries: BTreeSet<u64>,
    /// Retried dead letters that were settled since the last write.
    settled_retries: BTreeSet<u64>,
    keys: HashMap<Arc<str>, KeyQueue>,
    ready: BTreeSet<u64>,
    timers: BTreeSet<(Millis, u64)>,
    bytes: usize,
}

impl<E: Clone> Window<E> {
    /// Creates the window of a partition with this state.
    pub fn load(state: &PartitionState) -> Self {
        Self {
            examined: state.position,
            entries: BTreeMap::new(),
            settled: state.settled.iter().copied().collect(),
            known_attempts: state.attempts.clone(),
            retries: state.retries.clone(),
            settled_retries: BTreeSet::new(),
            keys: HashMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Returns the position up to which the log was examined.
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// Returns the position up to which every event is settled.
    pub fn checkpoint(&self) -> u64 {
        let mut unsettled = self.entries.keys().filter(|at| !self.retries.contains(at));
        unsettled.next().map_or(self.examined, |first| first - 1)
    }

    /// Returns whether the window accepts another event. At least one always fits into `max_bytes`.
    pub fn has_room(&self, max_bytes: usize) -> bool {
        let count = self.entries.len() + self.settled.len();
        count < MAX_WINDOW && (self.bytes < max_bytes || self.entries.is_empty())
    }

    /// Returns whether the event at `position` is read and not settled.
    pub fn contains(&self, position: u64) -> bool {
        self.entries.contains_key(&position)
    }

    /// Returns the number of events in flight.
    pub fn in_flight(&self) -> usize {
        let phases = self.entries.values();
        phases
            .filter(|entry| matches!(entry.phase, EventPhase::InFlight(..)))
            .count()
    }

    /// Returns the number of events that `session` has in flight.
    pub fn in_flight_of(&self, session: SessionId) -> usize {
        let phases = self.entries.values();
        let is_of = |entry: &&WindowEntry<E>| matches!(entry.phase, EventPhase::InFlight(s, _) if s == session);
        phases.filter(is_of).count()
    }

    /// Returns the number of settled events after the checkpoint.
    pub fn settled_after(&self) -> usize {
        self.settled.len()
    }

    /// Adds the next event of the log that belongs to the partition.
    pub fn offer(&mut self, offered: Offered<E>) {
        let position = offered.position;
        if position <= self.examined {
            return;
        }
        self.examined = position;
        let attempts = self.known_attempts.remove(&position).unwrap_or_default();
        if !self.settled.contains(&position) {
            self.insert(offered, attempts);
        }
        self.prune();
    }

    /// Records that the log has no further event of the partition up to `through`.
    pub fn advance(&mut self, through: u64) {
        self.examined = self.examined.max(through);
        self.prune();
    }

    /// Returns the retried dead letters whose events have to be read.
    pub fn missing_retries(&self) -> impl Iterator<Item = u64> + '_ {
        let retries = self.retries.iter().copied();
        retries.filter(|position| !self.entries.contains_key(position))
    }

    /// Adds the event of a retried dead letter.
    pub fn offer_retry(&mut self, offered: Offered<E>) {
        let position = offered.position;
        if self.retries.contains(&position) && !self.entries.contains_key(&position) {
            let attempts = self.known_attempts.remove(&position).unwrap_or_default();
            self.insert(offered, attempts);
        }
    }

    /// Removes a retried dead letter whose event does not exist.
    pub fn drop_retry(&mut self, position: u64) {
        if self.retries.remove(&position) {
            self.settled_retries.insert(position);
        }
    }

    /// Replaces the retried dead letters with the stored ones, without the letters that were settled since the last write.
    pub fn set_retries(&mut self, stored: &BTreeSet<u64>) {
        self.retries = stored - &self.settled_retries;
    }

    /// Returns the retried dead letters that were settled since the last write.
    pub fn settled_retries(&self) -> &BTreeSet<u64> {
        &self.settled_retries
    }

    /// Records that these retried dead letters were written as settled.
    pub fn retries_written(&mut self, written: &BTreeSet<u64>) {
        self.settled_retries = &self.settled_retries - written;
    }

    /// Returns the positions of the events that can be delivered, in the order of the log.
    pub fn ready(&self) -> impl Iterator<Item = u64> + '_ {
        self.ready.iter().copied()
    }

    /// Returns the pin of an event that is not settled.
    pub fn pin(&self, position: u64) -> Option<u64> {
        let entry = self.entries.get(&position)?;
        Some(entry.offered.pin)
    }

    /// Hands the ready event at `position` to `session`, and returns it with the number of the attempt.
    pub fn deliver(
        &mut self,
        position: u64,
        session: SessionId,
        deadline: Millis,
    ) -> Option<(E, u32)> {
        if !self.ready.remove(&position) {
            return None;
        }
        let entry = self.entries.get_mut(&position)?;
        entry.phase = EventPhase::InFlight(session, deadline);
        entry.last = Some(session);
        self.timers.insert((deadline, position));
        Some((entry.offered.event.clone(), entry.attempts.failed + 1))
    }

    /// Settles the event at `position`. Returns whether it was in flight.
    ///
    /// A late answer counts, as long as no other session has received the event.
    ///
    /// # Errors
    /// Returns [`NotInFlight`] if the event is settled, or `session` is not the last one that received it.
    pub fn settle(&mut self, position: u64, session: SessionId) -> Result<bool, NotInFlight> {
        let was_in_flight = self.was_in_flight(position, session)?;
        self.remove(position);
        Ok(was_in_flight)
    }

    /// Returns the time of the next call of [`expire`](Self::expire).
    pub fn next_timer(&self) -> Option<Millis> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Writes the position, the settled events, the attempts and the retried dead letters into `state`.
    pub fn save(&self, state: &mut PartitionState) {
        state.position = self.checkpoint();
        state.settled = self.settled.iter().copied().collect();
        state.attempts = self.known_attempts.clone();
        let attempts = self.entries.iter().map(|(at, entry)| (*at, entry.attempts));
        let attempts = attempts.filter(|(_, attempts)| *attempts != Attempts::default());
        state.attempts.extend(attempts);
        state.retries = self.retries.clone();
    }

    fn insert(&mut self, offered: Offered<E>, attempts: Attempts) {
        let position = offered.position;
        self.bytes += offered.size;
        let key = offered.key.clone();
        let entry = WindowEntry {
            offered,
            phase: EventPhase::Waiting,
            attempts,
            last: None,
        };
        self.entries.insert(position, entry);
        match key {
            Some(key) => {
                self.keys.entry(key.clone()).or_default().add(position);
                self.activate(&key);
            }
            None => self.make_ready(position),
        }
    }

    /// Removes a settled event, so that the next one of its key can be delivered.
    fn remove(&mut self, position: u64) {
        let Some(entry) = self.entries.remove(&position) else {
            return;
        };
        self.bytes -= entry.offered.size;
        self.ready.remove(&position);
        if let EventPhase::InFlight(_, at) | EventPhase::BackingOff(at) = entry.phase {
            self.timers.remove(&(at, position));
        }
        match self.retries.remove(&position) {
            true => self.settled_retries.insert(position),
            false => self.settled.insert(position),
        };
        if let Some(key) = entry.offered.key {
            let queue = self.keys.get_mut(&key);
            if queue.is_some_and(|queue| queue.remove(position)) {
                self.keys.remove(&key);
            } else {
                self.activate(&key);
            }
        }
        self.prune();
    }

    /// Makes the first event of a key ready, if the key is free.
    fn activate(&mut self, key: &str) {
        let Some(queue) = self.keys.get(key) else {
            return;
        };
        let (first, active) = (queue.first(), queue.active());
        if let Some(active) = active.filter(|active| Some(*active) != first) {
            // A retried dead letter comes before an event that no consumer has.
            if !self.ready.remove(&active) {
                return;
            }
            if let Some(entry) = self.entries.get_mut(&active) {
                entry.phase = EventPhase::Waiting;
            }
        }
        if let Some(first) = first.filter(|first| active != Some(*first)) {
            if let Some(queue) = self.keys.get_mut(key) {
                queue.activate(first);
            }
            self.make_ready(first);
        }
    }

    fn make_ready(&mut self, position: u64) {
        if let Some(entry) = self.entries.get_mut(&position) {
            entry.phase = EventPhase::Ready;
            self.ready.insert(position);
        }
    }

    fn was_in_flight(&self, position: u64, session: SessionId) -> Result<bool, NotInFlight> {
        let entry = self.entries.get(&position).ok_or(NotInFlight)?;
        match entry.last == Some(session) {
            true => Ok(matches!(entry.phase, EventPhase::InFlight(..))),
            false => Err(NotInFlight),
        }
    }

    /// Removes the settled events up to the checkpoint.
    fn prune(&mut self) {
        let checkpoint = self.checkpoint();
        while self
            .settled
            .first()
            .is_some_and(|first| *first <= checkpoint)
        {
            self.settled.pop_first();
        }
    }
}
