//! [`Log`]: the events in their order, and what each state of the store was.

use std::collections::{BTreeSet, HashMap};

use factum::{
    AppendCondition, Conflict, Direction, ExpectedVersion, Position, Read, RecordedEvent, Scope,
    StreamId, Version, Violation,
};

use super::{Anomaly, History, Kind};

/// The heads, from the first to the last, at which something is true.
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

    /// Up to just ahead of `position`.
    pub(super) fn ahead_of(position: Option<u64>) -> Self {
        let to = position.map_or(u64::MAX, |position| position - 1);
        Self { from: 0, to }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        }
    }

    pub(super) fn holds(self, head: u64) -> bool {
        (self.from..=self.to).contains(&head)
    }
}

/// Where the events of an append stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) first: u64,
    pub(super) last: u64,
}

pub(super) struct Log<'h> {
    pub(super) events: &'h [RecordedEvent],
    streams: HashMap<&'h StreamId, Vec<u64>>,
    /// By number of the call.
    pub(super) stored: HashMap<usize, Stored>,
    /// The call that stored a key.
    pub(super) keys: HashMap<&'h str, usize>,
    /// The heads between appends; nobody sees another.
    heads: BTreeSet<u64>,
}

impl<'h> Log<'h> {
    /// The log of `history`, once it is seen to hold whole appends, each once, in an order without gaps.
    pub(super) fn of(history: &'h History) -> Result<Self, Anomaly> {
        let mut log = Self {
            events: &history.log,
            streams: in_order(&history.log)?,
            stored: HashMap::new(),
            keys: HashMap::new(),
            heads: BTreeSet::from([0]),
        };
        let mut calls = HashMap::new();
        for (number, call) in history.calls.iter().enumerate() {
            if let Kind::Append(append, _) = &call.kind {
                let first = append.streams.iter().flat_map(|part| &part.events).next();
                calls.extend(first.map(|event| (event.id, (number, append))));
            }
        }
        let mut rest = log.events;
        while let Some(event) = rest.first() {
            let position = event.position.get();
            let foreign = Anomaly::Foreign { position };
            let (number, append) = calls.remove(&event.id).ok_or(foreign)?;
            let (whole, behind) = rest.split_at_checked(append.count()).ok_or(Anomaly::Half {
                call: number,
                position,
            })?;
            let asked = append
                .streams
                .iter()
                .flat_map(|part| part.events.iter().map(|event| (&part.stream, event)));
            let same = asked.zip(whole).all(|((stream, asked), event)| {
                (*stream == event.stream && asked.id == event.id)
                    && (asked.data == event.data && asked.tags == event.tags)
            });
            if !same {
                return Err(Anomaly::Half {
                    call: number,
                    position,
                });
            }
            let last = position + whole.len() as u64 - 1;
            let stored = Stored {
                first: position,
                last,
            };
            log.stored.insert(number, stored);
            log.heads.insert(last);
            if let Some(key) = &append.key
                && let Some(first) = log.keys.insert(&key.key, number)
            {
                return Err(Anomaly::KeyTwice {
                    call: number,
                    first,
                });
            }
            rest = behind;
        }
        Ok(log)
    }

    /// The least head that a call can see at or behind `head`.
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

    /// When `stream` is at `version`.
    fn at_version(&self, stream: &StreamId, version: Version) -> Span {
        let positions = self.positions(stream);
        let version = version.get() as usize;
        let from = match version {
            0 => Span::ALWAYS,
            _ => positions
                .get(version - 1)
                .map_or(Span::NEVER, |p| Span::from(*p)),
        };
        from.and(Span::ahead_of(positions.get(version).copied()))
    }

    /// When `stream` is as expected.
    pub(super) fn as_expected(&self, stream: &StreamId, expected: ExpectedVersion) -> Span {
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
        let behind = self.events.get(after.get() as usize..).unwrap_or_default();
        let found = behind.iter().find(|event| condition.query.matches(event));
        found.map(|event| event.position.get())
    }

    /// When nothing violates `condition`.
    pub(super) fn unviolated(&self, condition: &AppendCondition) -> Span {
        Span::ahead_of(self.next_match(condition, condition.after))
    }

    /// When everything that `append` expects is so.
    pub(super) fn all_hold(&self, append: &factum::Append) -> Span {
        let streams = append.streams.iter();
        let streams = streams.map(|part| self.as_expected(&part.stream, part.expected));
        let condition = append
            .condition
            .iter()
            .map(|condition| self.unviolated(condition));
        streams.chain(condition).fold(Span::ALWAYS, Span::and)
    }

    /// When exactly what `conflict` says is true of `append`.
    pub(super) fn rejected(&self, append: &factum::Append, conflict: &Conflict) -> Span {
        let mut told = 0;
        let mut span = Span::ALWAYS;
        for part in &append.streams {
            let said = conflict
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
            span = span.and(match said {
                Some(actual) if part.expected.allows(actual) => Span::NEVER,
                Some(actual) => self.at_version(&part.stream, actual),
                None => self.as_expected(&part.stream, part.expected),
            });
            told += usize::from(said.is_some());
        }
        if let Some(asked) = &append.condition {
            let said = conflict
                .violations
                .iter()
                .find_map(|violation| match violation {
                    Violation::Condition { condition, found } if condition == asked => Some(*found),
                    _ => None,
                });
            span = span.and(match said {
                Some(found) => self.newest_match_is(asked, found),
                None => self.unviolated(asked),
            });
            told += usize::from(said.is_some());
        }
        match told > 0 && told == conflict.violations.len() {
            true => span,
            false => Span::NEVER,
        }
    }

    fn newest_match_is(&self, condition: &AppendCondition, found: Position) -> Span {
        let violates = |event: &&RecordedEvent| {
            event.position > condition.after && condition.query.matches(event)
        };
        match self.at(found.get()).filter(violates) {
            Some(_) => {
                Span::from(found.get()).and(Span::ahead_of(self.next_match(condition, found)))
            }
            None => Span::NEVER,
        }
    }

    /// What `read` finds when the head of the store is `head`, one event beyond its limit included.
    pub(super) fn page(&self, read: &Read, head: u64) -> Vec<u64> {
        let most = read.limit + 1;
        match &read.scope {
            Scope::Stream(stream) => {
                let positions = self.positions(stream);
                let there = positions.partition_point(|position| *position <= head);
                let positions = &positions[..there];
                let cursor = usize::try_from(read.cursor).unwrap_or(usize::MAX);
                match read.direction {
                    Direction::Forward => {
                        let behind = positions.get(cursor..).unwrap_or_default();
                        behind.iter().copied().take(most).collect()
                    }
                    Direction::Backward => {
                        let ahead = &positions[..cursor.saturating_sub(1).min(there)];
                        ahead.iter().rev().copied().take(most).collect()
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
                let behind = read.cursor.saturating_add(1)..=head;
                behind.filter(found).take(read.limit + 1).collect()
            }
            Direction::Backward => {
                let ahead = 1..=head.min(read.cursor.saturating_sub(1));
                ahead.rev().filter(found).take(read.limit + 1).collect()
            }
        }
    }
}

/// The positions of the events of each stream, if neither they nor the versions have gaps.
fn in_order(log: &[RecordedEvent]) -> Result<HashMap<&StreamId, Vec<u64>>, Anomaly> {
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
