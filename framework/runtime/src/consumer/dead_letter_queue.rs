//! [`DeadLetterQueue`]: the dead letters of a partition, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use factum_core::document::Revision;
use factum_core::position::Position;
use factum_core::stream_id::StreamId;

use super::dead_letter::{DeadLetter, DeadLetterState, StoredDeadLetter};

/// The waiting dead letters of a partition, indexed by position, stream and correlation key.
///
/// The queue may be very large, so the work for one event must not visit all dead letters.
#[derive(Debug, Default)]
pub struct DeadLetterQueue {
    letters: BTreeMap<Position, StoredDeadLetter>,
    streams: HashMap<StreamId, BTreeSet<Position>>,
    /// The number of dead letters with each correlation key.
    correlation_keys: HashMap<String, u64>,
    /// The dead letters whose correlation keys are unknown.
    unknown: BTreeSet<Position>,
}

/// Streams and correlation keys that block later events.
#[derive(Debug, Default)]
pub struct BlockedKeys {
    streams: HashSet<StreamId>,
    correlation_keys: HashSet<String>,
}

impl BlockedKeys {
    /// Returns whether an event of `stream` with these correlation keys is blocked.
    pub fn blocks(&self, stream: &StreamId, keys: Option<&[String]>) -> bool {
        let mut keys = keys.unwrap_or_default().iter();
        self.streams.contains(stream) || keys.any(|key| self.correlation_keys.contains(key))
    }

    /// Blocks the stream and the correlation keys of `letter`.
    pub fn add(&mut self, letter: &DeadLetter) {
        self.streams.insert(letter.stream.clone());
        let keys = letter.correlation_keys().unwrap_or_default();
        self.correlation_keys.extend(keys.iter().cloned());
    }

    /// Blocks everything that `other` blocks.
    pub fn extend(&mut self, other: Self) {
        self.streams.extend(other.streams);
        self.correlation_keys.extend(other.correlation_keys);
    }
}

impl DeadLetterQueue {
    /// Creates the queue from the dead letters of a build that belong to the partition.
    pub fn new(letters: Vec<StoredDeadLetter>, belongs: impl Fn(&StreamId) -> bool) -> Self {
        let mut queue = Self::default();
        for StoredDeadLetter { revision, letter } in letters {
            if belongs(&letter.stream) {
                queue.insert(letter, revision);
            }
        }
        queue
    }

    /// Returns whether an event of `stream` with these correlation keys is blocked.
    pub fn blocks(&self, stream: &StreamId, keys: Option<&[String]>) -> bool {
        let mut keys = keys.unwrap_or_default().iter();
        self.streams.contains_key(stream) || keys.any(|key| self.correlation_keys.contains_key(key))
    }

    /// Returns the position of the first dead letter whose correlation keys are unknown.
    pub fn first_unknown(&self) -> Option<Position> {
        self.unknown.first().copied()
    }

    /// Adds a dead letter, if it is waiting.
    pub fn insert(&mut self, letter: DeadLetter, revision: Revision) {
        if !letter.is_waiting() {
            return;
        }
        let position = letter.position;
        self.remove(position);
        let stream = self.streams.entry(letter.stream.clone()).or_default();
        stream.insert(position);
        match letter.correlation_keys() {
            None => drop(self.unknown.insert(position)),
            Some(keys) => {
                for key in keys {
                    *self.correlation_keys.entry(key.clone()).or_default() += 1;
                }
            }
        }
        let stored = StoredDeadLetter { revision, letter };
        self.letters.insert(position, stored);
    }

    /// Removes a dead letter. The stream is no longer blocked when its last dead letter is removed.
    pub fn remove(&mut self, position: Position) {
        let Some(StoredDeadLetter { letter, .. }) = self.letters.remove(&position) else {
            return;
        };
        self.unknown.remove(&position);
        if let Some(stream) = self.streams.get_mut(&letter.stream) {
            stream.remove(&position);
            if stream.is_empty() {
                self.streams.remove(&letter.stream);
            }
        }
        for key in letter.correlation_keys().unwrap_or_default() {
            if let Some(count) = self.correlation_keys.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.correlation_keys.remove(key);
                }
            }
        }
    }

    /// Returns the streams of which single dead letters can be retried.
    ///
    /// These are the streams with a requested retry, and the streams whose first dead letter is no longer blocked. A request
    /// to retry all dead letters does not depend on them.
    pub fn streams_to_retry(&self) -> HashSet<StreamId> {
        let is_free = |stream: &BTreeSet<Position>| {
            let first = stream.first().and_then(|first| self.letters.get(first));
            first.is_some_and(|first| first.letter.state == DeadLetterState::Blocked)
        };
        let free = self.streams.iter().filter(|(_, stream)| is_free(stream));
        let requested = self.letters.values().map(|stored| &stored.letter);
        let requested = requested.filter(|letter| letter.is_retry_requested());
        let requested = requested.map(|letter| letter.stream.clone());
        free.map(|(stream, _)| stream.clone())
            .chain(requested)
            .collect()
    }

    /// Returns the dead letters after `position`, in order.
    pub fn after(&self, position: Position) -> impl Iterator<Item = &StoredDeadLetter> {
        let range = (Bound::Excluded(position), Bound::Unbounded);
        self.letters.range(range).map(|(_, letter)| letter)
    }

    /// Returns the number of dead letters.
    pub fn len(&self) -> u64 {
        self.letters.len() as u64
    }

    /// Returns whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }
}
