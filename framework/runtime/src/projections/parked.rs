//! [`Parked`]: what waits in a build; [`Queue`]: what waits behind something.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use super::dead_letter::{DeadLetter, DeadLetterState, Letter};
use factum_core::document::Revision;
use factum_core::position::Position;
use factum_core::stream_id::StreamId;

/// What waits of one partition. There may be very much of it, so that nothing that is done for each event looks at all.
#[derive(Debug, Default)]
pub struct Parked {
    letters: BTreeMap<Position, Letter>,
    streams: HashMap<StreamId, BTreeSet<Position>>,
    /// How many are about what.
    about: HashMap<String, u64>,
    /// Those of which it is not known what they are about.
    obscure: BTreeSet<Position>,
}

/// Streams, and what else events are about, of which something waits.
#[derive(Debug, Default)]
pub struct Queue {
    streams: HashSet<StreamId>,
    about: HashSet<String>,
}

impl Queue {
    /// Whether what is of `stream` and `about` something waits, too.
    pub fn holds(&self, stream: &StreamId, about: Option<&[String]>) -> bool {
        let mut about = about.unwrap_or_default().iter();
        self.streams.contains(stream) || about.any(|it| self.about.contains(it))
    }

    pub fn join(&mut self, letter: &DeadLetter) {
        self.streams.insert(letter.stream.clone());
        self.about.extend(letter.about.iter().flatten().cloned());
    }

    /// Also what waits in `other`.
    pub fn extend(&mut self, other: Self) {
        self.streams.extend(other.streams);
        self.about.extend(other.about);
    }
}

impl Parked {
    pub fn new(letters: Vec<Letter>, mine: impl Fn(&StreamId) -> bool) -> Self {
        let mut parked = Self::default();
        for Letter { revision, letter } in letters {
            if mine(&letter.stream) {
                parked.insert(letter, revision);
            }
        }
        parked
    }

    /// Whether what is of `stream` and `about` something waits, too.
    pub fn holds(&self, stream: &StreamId, about: Option<&[String]>) -> bool {
        let mut about = about.unwrap_or_default().iter();
        self.streams.contains_key(stream) || about.any(|it| self.about.contains_key(it))
    }

    /// The first of which it is not known what it is about.
    pub fn obscure(&self) -> Option<Position> {
        self.obscure.first().copied()
    }

    /// One letter more, if it waits.
    pub fn insert(&mut self, letter: DeadLetter, revision: Revision) {
        if !letter.is_waiting() {
            return;
        }
        let position = letter.position;
        self.remove(position);
        let stream = self.streams.entry(letter.stream.clone()).or_default();
        stream.insert(position);
        match letter.about() {
            None => drop(self.obscure.insert(position)),
            Some(about) => {
                for it in about {
                    *self.about.entry(it.clone()).or_default() += 1;
                }
            }
        }
        self.letters.insert(position, Letter { revision, letter });
    }

    /// One letter less; the last of a stream lets the stream go on.
    pub fn remove(&mut self, position: Position) {
        let Some(Letter { letter, .. }) = self.letters.remove(&position) else {
            return;
        };
        self.obscure.remove(&position);
        if let Some(stream) = self.streams.get_mut(&letter.stream) {
            stream.remove(&position);
            if stream.is_empty() {
                self.streams.remove(&letter.stream);
            }
        }
        for it in letter.about().unwrap_or_default() {
            if let Some(count) = self.about.get_mut(it) {
                *count -= 1;
                if *count == 0 {
                    self.about.remove(it);
                }
            }
        }
    }

    /// The streams that wait for nothing any more: what their first letter stood behind was discarded.
    pub fn freed(&self) -> HashSet<StreamId> {
        let first = |stream: &BTreeSet<Position>| self.letters.get(stream.first()?);
        let is_free = |stream: &BTreeSet<Position>| {
            first(stream).is_some_and(|first| first.letter.state == DeadLetterState::Blocked)
        };
        let freed = self.streams.iter().filter(|(_, stream)| is_free(stream));
        freed.map(|(stream, _)| stream.clone()).collect()
    }

    /// What waits behind `position`, in the order of the store.
    pub fn behind(&self, position: Position) -> impl Iterator<Item = &Letter> {
        let behind = (Bound::Excluded(position), Bound::Unbounded);
        self.letters.range(behind).map(|(_, letter)| letter)
    }

    pub fn len(&self) -> u64 {
        self.letters.len() as u64
    }
}

/// Nothing is parked at that position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing of {name:?} is parked at position {position}")]
pub struct NotParked {
    pub name: String,
    pub position: Position,
}
