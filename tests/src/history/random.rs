//! Random appends and reads of a client, derived from a seed.

use std::collections::HashMap;
use std::sync::Arc;

use factum::store::Metadata;
use factum::store::{
    Append, ContentType, ExpectedVersion, IdempotencyKey, NewEvent, Query, QueryItem, Read, Tag,
};
use factum::{Position, StreamId, Version};
use uuid::Uuid;

/// A small random number generator (Marsaglia's xorshift64), determined by its seed.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Spreads neighbouring seeds, and avoids a state of zero, which xorshift never leaves.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

/// A client, with the versions and the head that it has observed.
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) dice: Dice,
    pub(super) versions: HashMap<StreamId, Version>,
    pub(super) head: Position,
    turn: u64,
}

const HOT_STREAMS: u64 = 5;
const TAGS: u64 = 4;
/// The number of consecutive turns in which all clients use the same key.
const KEY_SHARE: u64 = 3;

impl Client {
    pub(super) fn new(number: usize, seed: u64) -> Self {
        Self {
            number,
            dice: Dice::new(seed ^ (number as u64 + 1) << 32),
            versions: HashMap::new(),
            head: Position::ZERO,
            turn: 0,
        }
    }

    /// Returns a stream of one of two categories, sometimes one that all clients try to create.
    fn stream(&mut self) -> StreamId {
        let category = ["a", "b"][self.dice.roll(2) as usize];
        let key = match self.dice.one_in(6) {
            true => format!("new{}", self.turn / 4),
            false => self.dice.roll(HOT_STREAMS).to_string(),
        };
        StreamId::new(category, key).expect("a valid stream id")
    }

    fn tag(&mut self) -> Tag {
        Tag::new("k", self.dice.roll(TAGS)).expect("a valid tag")
    }

    fn event(&mut self) -> NewEvent {
        let (client, turn) = (self.number, self.turn);
        NewEvent {
            id: Uuid::now_v7(),
            name: ["x.made", "y.made"][self.dice.roll(2) as usize].into(),
            schema_version: 1,
            content_type: ContentType::Json,
            // The trailing space checks that the bytes are stored unchanged.
            data: format!("{{\"client\":{client},\"turn\":{turn}}} ").into(),
            tags: (0..self.dice.roll(3)).map(|_| self.tag()).collect(),
            metadata: Arc::new(Metadata::default()),
            personal: Vec::new(),
        }
    }

    fn expected(&mut self, stream: &StreamId) -> ExpectedVersion {
        let known = self.versions.get(stream).copied().unwrap_or_default();
        match self.dice.roll(10) {
            0..4 => ExpectedVersion::Any,
            4 => ExpectedVersion::NoStream,
            5 => ExpectedVersion::StreamExists,
            6..9 => ExpectedVersion::Exact(known),
            _ => ExpectedVersion::Exact(Version::new(self.dice.roll(known.get() + 3))),
        }
    }

    fn query(&mut self) -> Query {
        let mut item = QueryItem::default();
        if self.dice.one_in(3) {
            item.category = Some("a".to_owned());
        }
        if self.dice.one_in(3) {
            item.event_types.push("x.made".to_owned());
        }
        item.tags = (0..self.dice.roll(3)).map(|_| self.tag()).collect();
        Query::from(item)
    }

    /// Returns a position near the observed head.
    fn position(&mut self) -> Position {
        match self.dice.roll(8) {
            0 => Position::ZERO,
            1..3 => Position::new(self.head.get().saturating_sub(self.dice.roll(20))),
            3 => self.head.plus(self.dice.roll(5)),
            _ => self.head,
        }
    }

    /// Returns an append to one to three streams, sometimes with a condition or a shared key.
    pub(super) fn append(&mut self) -> Append {
        self.turn += 1;
        let mut append = Append::default();
        for _ in 0..=self.dice.roll(3) {
            let stream = self.stream();
            if append.streams.iter().any(|part| part.stream == stream) {
                continue;
            }
            let expected = self.expected(&stream);
            let events = (0..self.dice.roll(4)).map(|_| self.event()).collect();
            append = append.and_stream(stream, expected, events);
        }
        // Some appends mix the events of their streams.
        if self.dice.one_in(3) {
            let last = append.events.len();
            for index in 1..last {
                let other = self.dice.roll(last as u64) as usize;
                append.events.swap(index, other);
            }
        }
        if self.dice.one_in(4) {
            append = append.condition(self.query(), self.position());
        }
        // The key is stored with the events, so the log of an append without events does not show it.
        if append.count() > 0 && self.dice.one_in(4) {
            let key = format!("key-{}", self.turn / KEY_SHARE);
            let content = [b"one", b"two"][usize::from(self.dice.one_in(4))];
            append = append.idempotency_key(IdempotencyKey::new(key, content));
        }
        append
    }

    pub(super) fn read(&mut self) -> Read {
        self.turn += 1;
        let stream = self.stream();
        let reads_stream = self.dice.one_in(2);
        let read = match (reads_stream, self.dice.one_in(3)) {
            (true, _) => Read::stream(stream.clone()),
            (false, true) => Read::streams([stream.clone(), self.stream()]),
            (false, false) => Read::all(self.query()),
        };
        let near = match reads_stream {
            true => {
                let known = self.versions.get(&stream).copied().unwrap_or_default();
                known.get().saturating_sub(self.dice.roll(4))
            }
            false => self.position().get(),
        };
        let read = match self.dice.roll(4) {
            0 => read.backward(),
            1 => read.before(near),
            _ => read.after(near),
        };
        read.limit(1 + self.dice.roll(20) as usize)
    }
}
