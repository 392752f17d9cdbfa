//! [`Log`]: the events in log order, and queries over the states of the store.

use std::collections::{BTreeSet, HashMap};

use factum::store::{
    AppendCondition, Conflict, Direction, ExpectedVersion, Read, RecordedEvent, Scope, Violation,
};
use factum::{Position, StreamId, Version};

use super::anomaly::Anomaly;
use super::calls::{History, Kind};

/// The heads, from the first to the last, at which a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Span {
    pub(super) const ALWAYS: Self = Self {
        from: 0,
        to: u64::MAX,
    };
    pub(super) const NEVER: Self = Self { from: 1, to: 0 };

    pub(super) fn from(from: u64) -> Self {
        Self {
            from,
            ..Self::ALWAYS
        }
    }

    /// Returns the heads before `position`, or all heads.
    pub(super) fn before(position: Option<u64>) -> Self {
        let to = position.map_or(u64::MAX, |position| position - 1);
        Self { from: 0, to }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        }
    }

    pub(super) fn contains(self, head: u64) -> bool {
        (self.from..=self.to).contains(&head)
    }
}

/// The positions of the events of an append.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) first: u64,
    pub(super) last: u64,
}

pub(super) struct Log<'h> {
    pub(super) events: &'h [RecordedEvent],
    streams: HashMap<&'h StreamId, Vec<u64>>,
    /// The stored appends by number of the call.
    pub(super) stored: HashMap<usize, Stored>,
    /// The call that stored each key.
    pub(super) keys: HashMap<&'h str, usize>,
    /// The heads at the end of an append, which are the only ones that a client may observe.
    heads: BTreeSet<u64>,
}

impl<'h> Log<'h> {
    /// Checks that the log consists of whole appends, each once and without gaps, and indexes it.
    pub(super) fn new(history: &'h History) -> Result<Self, Anomaly> {
        let mut log = Self {
            events: &history.log,
            streams: index_streams(&history.log)?,
            stored: HashMap::new(),
            keys: HashMap::new(),
            heads: BTreeSet::from([0]),
        };
        let mut calls = HashMap::new();
        for (number, call) in history.calls.iter().enumerate() {
            if let Kind::Append(append, _) = &call.kind {
                let first = append.events.first();
                calls.extend(first.map(|event| (event.event.id, (number, append))));
            }
        }
        let mut rest = log.events;
        while let Some(event) = rest.first() {
            let position = event.position.get();
            let unknown = Anomaly::UnknownEvent { position };
            let (number, append) = calls.remove(&event.id).ok_or(unknown)?;
            let (stored_events, remaining) =
                rest.split_at_checked(append.count())
                    .ok_or(Anomaly::PartialAppend {
                        call: number,
                        position,
                    })?;
            let requested = append.events.iter();
            let requested = requested.map(|event| (append.stream_of(event), &event.event));
            let same = requested
                .zip(stored_events)
                .all(|((stream, requested), event)| {
                    (*stream == event.stream && requested.id == event.id)
                        && (requested.data == event.data && requested.tags == event.tags)
                });
            if !same {
                return Err(Anomaly::PartialAppend {
                    call: number,
                    position,
                });
            }
            let last = position + stored_events.len() as u64 - 1;
            let stored = Stored {
                first: position,
                last,
            };
            log.stored.insert(number, stored);
            log.heads.insert(last);
            if let Some(key) = &append.key
                && let Some(first) = log.keys.insert(&key.key, number)
            {
                return Err(Anomaly::DuplicateKey {
                    call: number,
                    first,
                });
            }
            rest = remaining;
        }
        Ok(log)
    }

    /// Returns the smallest observable head at or after `head`.
    pub(super) fn head_from(&self, head: u64) -> Option<u64> {
        self.heads.range(head..).next().copied()
    }

    fn positions(&self, stream: &StreamId) -> &[u64] {
        self.streams.get(stream).map_or(&[], Vec::as_slice)
    }

    fn at(&self, position: u64) -> Option<&'h RecordedEvent> {
        self.events
            .get(usize::try_from(position.checked_sub(1)?).ok()?)
    }

    /// Returns the heads at which `stream` is at `version`.
    fn at_version(&self, stream: &StreamId, version: Version) -> Span {
        let positions = self.positions(stream);
        let version = version.get() as usize;
        let from = match version {
            0 => Span::ALWAYS,
            _ => positions
                .get(version - 1)
                .map_or(Span::NEVER, |p| Span::from(*p)),
        };
        from.and(Span::before(positions.get(version).copied()))
    }

    /// Returns the heads at which the expected version of `stream` holds.
    pub(super) fn version_holds(&self, stream: &StreamId, expected: ExpectedVersion) -> Span {
        match expected {
            ExpectedVersion::Any => Span::ALWAYS,
            ExpectedVersion::NoStream => self.at_version(stream, Version::ZERO),
            ExpectedVersion::StreamExists => {
                let first = self.positions(stream).first();
                first.map_or(Span::NEVER, |first| Span::from(*first))
            }
            ExpectedVersion::Exact(version) => self.at_version(stream, version),
        }
    }

    fn next_match(&self, condition: &AppendCondition, after: Position) -> Option<u64> {
        let later = self.events.get(after.get() as usize..).unwrap_or_default();
        let found = later.iter().find(|event| condition.query.matches(event));
        found.map(|event| event.position.get())
    }

    /// Returns the heads at which `condition` holds.
    pub(super) fn condition_holds(&self, condition: &AppendCondition) -> Span {
        Span::before(self.next_match(condition, condition.after))
    }

    /// Returns the heads at which all expectations of `append` hold.
    pub(super) fn expectations_hold(&self, append: &factum::store::Append) -> Span {
        let streams = append.streams.iter();
        let streams = streams.map(|part| self.version_holds(&part.stream, part.expected));
        let condition = append
            .condition
            .iter()
            .map(|condition| self.condition_holds(condition));
        streams.chain(condition).fold(Span::ALWAYS, Span::and)
    }

    /// Returns the heads at which `append` fails with exactly `conflict`.
    pub(super) fn conflicts_with(
        &self,
        append: &factum::store::Append,
        conflict: &Conflict,
    ) -> Span {
        let mut reported = 0;
        let mut span = Span::ALWAYS;
        for part in &append.streams {
            let reported_version =
                conflict
                    .violations
                    .iter()
                    .find_map(|violation| match violation {
                        Violation::Version {
                            stream,
                            expected,
                            actual,
                        } if (stream, expected) == (&part.stream, &part.expected) => Some(*actual),
                        _ => None,
                    });
            span = span.and(match reported_version {
                Some(actual) if part.expected.allows(actual) => Span::NEVER,
                Some(actual) => self.at_version(&part.stream, actual),
                None => self.version_holds(&part.stream, part.expected),
            });
            reported += usize::from(reported_version.is_some());
        }
        if let Some(requested) = &append.condition {
            let reported_position =
                conflict
                    .violations
                    .iter()
                    .find_map(|violation| match violation {
                        Violation::Condition { condition, found } if condition == requested => {
                            Some(*found)
                        }
                        _ => None,
                    });
            span = span.and(match reported_position {
                Some(found) => self.latest_match_is(requested, found),
                None => self.condition_holds(requested),
            });
            reported += usize::from(reported_position.is_some());
        }
        match reported > 0 && reported == conflict.violations.len() {
            true => span,
            false => Span::NEVER,
        }
    }

    fn latest_match_is(&self, condition: &AppendCondition, found: Position) -> Span {
        let violates = |event: &&RecordedEvent| {
            event.position > condition.after && condition.query.matches(event)
        };
        match self.at(found.get()).filter(violates) {
            Some(_) => Span::from(found.get()).and(Span::before(self.next_match(condition, found))),
            None => Span::NEVER,
        }
    }

    /// Returns the positions that `read` finds at `head`, up to one more than its limit.
    pub(super) fn page(&self, read: &Read, head: u64) -> Vec<u64> {
        let max = read.limit + 1;
        match &read.scope {
            Scope::Stream(stream) => {
                let positions = self.positions(stream);
                let count = positions.partition_point(|position| *position <= head);
                let positions = &positions[..count];
                let cursor = usize::try_from(read.cursor).unwrap_or(usize::MAX);
                match read.direction {
                    Direction::Forward => {
                        let after = positions.get(cursor..).unwrap_or_default();
                        after.iter().copied().take(max).collect()
                    }
                    Direction::Backward => {
                        let before = &positions[..cursor.saturating_sub(1).min(count)];
                        before.iter().rev().copied().take(max).collect()
                    }
                }
            }
            Scope::Streams(streams) => self.matching(read, head, |e| streams.contains(&e.stream)),
            Scope::All(query) => self.matching(read, head, |e| query.matches(e)),
        }
    }

    fn matching(
        &self,
        read: &Read,
        head: u64,
        matches: impl Fn(&RecordedEvent) -> bool,
    ) -> Vec<u64> {
        let found = |position: &u64| self.at(*position).is_some_and(&matches);
        match read.direction {
            Direction::Forward => {
                let after = read.cursor.saturating_add(1)..=head;
                after.filter(found).take(read.limit + 1).collect()
            }
            Direction::Backward => {
                let before = 1..=head.min(read.cursor.saturating_sub(1));
                before.rev().filter(found).take(read.limit + 1).collect()
            }
        }
    }
}

/// Returns the positions of each stream, if neither positions nor versions have gaps.
fn index_streams(log: &[RecordedEvent]) -> Result<HashMap<&StreamId, Vec<u64>>, Anomaly> {
    let mut streams: HashMap<&StreamId, Vec<u64>> = HashMap::new();
    let mut recorded_at = None;
    for (expected, event) in (1..).zip(log) {
        let positions = streams.entry(&event.stream).or_default();
        positions.push(expected);
        let gap = event.position.get() != expected || event.version.get() != positions.len() as u64;
        if gap || recorded_at > Some(event.recorded_at) {
            return Err(Anomaly::Gap {
                expected,
                event: Box::new(event.clone()),
            });
        }
        recorded_at = Some(event.recorded_at);
    }
    Ok(streams)
}
