//! [`Parked`]: what waits in a build, by stream; [`Queue`]: what waits behind it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::dead_letter::{DeadLetter, DeadLetterState, Letter};
use crate::document::Revision;
use crate::place::Position;
use crate::stream::StreamId;

/// What waits of one partition, by stream.
#[derive(Debug, Default)]
pub(super) struct Parked {
    streams: HashMap<StreamId, BTreeMap<Position, Letter>>,
    count: u64,
}

/// Streams, and what else events are about, of which something waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    streams: HashSet<StreamId>,
    about: HashSet<String>,
}

impl Queue {
    /// Whether what is of `stream` and `about` something waits, too.
    pub(super) fn holds(&self, stream: &StreamId, about: Option<&[String]>) -> bool {
        let mut about = about.unwrap_or_default().iter();
        self.streams.contains(stream) || about.any(|it| self.about.contains(it))
    }

    pub(super) fn join(&mut self, letter: &DeadLetter) {
        self.streams.insert(letter.stream.clone());
        self.about.extend(letter.about.iter().flatten().cloned());
    }
}

impl Parked {
    pub(super) fn new(letters: Vec<Letter>, mine: impl Fn(&StreamId) -> bool) -> Self {
        let mut parked = Self::default();
        for Letter { revision, letter } in letters {
            if mine(&letter.stream) {
                parked.insert(letter, revision);
            }
        }
        parked
    }

    /// All that waits.
    pub(super) fn queue(&self) -> Queue {
        let mut queue = Queue::default();
        let letters = self.streams.values().flat_map(BTreeMap::values);
        letters.for_each(|it| queue.join(&it.letter));
        queue
    }

    /// The first of which it is not known what it is about.
    pub(super) fn obscure(&self) -> Option<Position> {
        let letters = self.streams.values().flatten();
        let obscure = letters.filter(|(_, it)| it.letter.about.is_none());
        obscure.map(|(position, _)| *position).min()
    }

    /// One letter more, if it waits.
    pub(super) fn insert(&mut self, letter: DeadLetter, revision: Revision) {
        if letter.is_waiting() {
            let stream = self.streams.entry(letter.stream.clone()).or_default();
            let before = stream.insert(letter.position, Letter { revision, letter });
            self.count += u64::from(before.is_none());
        }
    }

    /// One letter less; the last of a stream lets the stream go on.
    pub(super) fn remove(&mut self, stream: &StreamId, position: Position) {
        if let Some(letters) = self.streams.get_mut(stream) {
            self.count -= u64::from(letters.remove(&position).is_some());
            if letters.is_empty() {
                self.streams.remove(stream);
            }
        }
    }

    pub(super) fn streams(&self) -> Vec<StreamId> {
        self.streams.keys().cloned().collect()
    }

    /// The streams that wait for nothing any more: what their first letter stood behind was discarded.
    pub(super) fn freed(&self) -> Vec<StreamId> {
        let is_free = |letters: &BTreeMap<Position, Letter>| {
            let first = letters.values().next();
            first.is_some_and(|first| first.letter.state == DeadLetterState::Behind)
        };
        let freed = self.streams.iter().filter(|(_, letters)| is_free(letters));
        freed.map(|(stream, _)| stream.clone()).collect()
    }

    /// All of them, in the order of the store.
    pub(super) fn in_order(&self) -> Vec<Letter> {
        let letters = self.streams.values().flatten();
        let letters: BTreeMap<_, _> = letters.collect();
        letters.into_values().cloned().collect()
    }

    pub(super) fn len(&self) -> u64 {
        self.count
    }
}

/// Nothing is parked at that position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing of {name:?} is parked at position {position}")]
pub(super) struct NotParked {
    pub(super) name: String,
    pub(super) position: Position,
}
