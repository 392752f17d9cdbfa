//! [`Log`]: the events, and the indexes by stream, by tag, by event id and by idempotency key.

use std::collections::HashMap;
use std::convert::Infallible;

use factum_core::append::{
    Append, AppendCondition, AppendError, AppendEvent, Appended, Conflict, EventIdRun,
    IdempotencyKey, Violation,
};
use factum_core::document::MemoryDocuments;
use factum_core::position::{Position, Version};
use factum_core::read::{Direction, Page, Read, Scope};
use factum_core::record::Assigned;
use factum_core::record::RecordedEvent;
use factum_core::stream_id::StreamId;
use factum_core::stream_list::{StreamList, StreamSummary};
use factum_core::tag::Tag;
use factum_core::timestamp::Timestamp;
use foldhash::fast::RandomState;
use uuid::Uuid;

use crate::id_runs::IdRuns;
use crate::query;

/// The events and their indexes.
///
/// The indexes hold positions in ascending order. The event at position p is `events[p - 1]`.
#[derive(Default)]
pub struct Log {
    events: Vec<RecordedEvent>,
    streams: HashMap<StreamId, Vec<u64>, RandomState>,
    tags: HashMap<Tag, Vec<u64>, RandomState>,
    id_runs: IdRuns,
    first_results: HashMap<String, (Uuid, Appended)>,
}

impl Log {
    pub fn head(&self) -> Position {
        Position::new(self.events.len() as u64)
    }

    /// Stores `append` if its expectations hold, and makes its changes of `documents`.
    pub fn append(
        &mut self,
        mut append: Append,
        documents: &MemoryDocuments,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        if let Some(key) = &append.key
            && let Some(first) = self.find(key)?
        {
            return Ok(first);
        }
        let violations = self.violations(&append);
        if !violations.is_empty() {
            return Err(Conflict { violations }.into());
        }
        let reused = append
            .event_id_runs()
            .find_map(|run| self.find_stored(&run));
        if let Some((id, position)) = reused {
            return Err(AppendError::EventIdReused { id, position });
        }
        if !append.changes.is_empty() {
            documents.change(std::mem::take(&mut append.changes))?;
        }
        for run in append.event_id_runs() {
            let position = self.head().plus(run.index as u64 + 1);
            self.id_runs.add(run.first, position);
        }
        let key = append.key.take();
        let appended = self.store(append, now);
        if let Some(key) = key {
            self.first_results
                .insert(key.key, (key.fingerprint, appended.clone()));
        }
        Ok(appended)
    }

    pub fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        match self.first_results.get(&key.key) {
            None => Ok(None),
            Some((fingerprint, first)) if key.is_for(*fingerprint) => Ok(Some(Appended {
                repeated: true,
                ..first.clone()
            })),
            Some(_) => Err(AppendError::KeyReused {
                key: key.key.clone(),
            }),
        }
    }

    /// Returns a stored id of `run`, and its position.
    fn find_stored(&self, run: &EventIdRun) -> Option<(Uuid, Position)> {
        if self.id_runs.are_before(run) {
            return None;
        }
        let start_up_to = |id| Ok::<_, Infallible>(self.id_runs.start_up_to(id));
        let id_at = |position: Position| {
            let event = self.events.get(position.get() as usize - 1);
            Ok(event.map(|event| event.id))
        };
        let Ok(found) = run.find_stored(start_up_to, id_at);
        found
    }

    fn violations(&self, append: &Append) -> Vec<Violation> {
        let mut violations = append.violations(|stream| self.version(stream));
        let condition = append.condition.as_ref().and_then(|condition| {
            self.newest_match(condition)
                .map(|found| Violation::Condition {
                    condition: condition.clone(),
                    found,
                })
        });
        violations.extend(condition);
        let mut required = append.requires.iter();
        let missing = required.find(|id| self.find_stored(&EventIdRun::of(**id)).is_none());
        violations.extend(missing.map(|id| Violation::MissingEvent { id: *id }));
        violations
    }

    fn newest_match(&self, condition: &AppendCondition) -> Option<Position> {
        let positions = query::candidates(&condition.query, &self.tags, self.events.len());
        let mut newer = positions
            .backward(u64::MAX)
            .take_while(|p| *p > condition.after.get());
        newer
            .find(|p| condition.query.matches(self.at(*p)))
            .map(Position::new)
    }

    fn version(&self, stream: &StreamId) -> Version {
        Version::new(self.streams.get(stream).map_or(0, Vec::len) as u64)
    }

    fn store(&mut self, append: Append, now: Timestamp) -> Appended {
        let last = self.events.last().map(|event| event.recorded_at);
        let recorded_at = last.map_or(now, |last| last.max(now));
        let count = append.count() as u64;
        let written = append.written_streams();
        for AppendEvent { stream, event } in append.events {
            let stream = &append.streams[stream].stream;
            let position = self.events.len() as u64 + 1;
            for tag in &event.tags {
                let tagged = self.tags.entry(tag.clone()).or_default();
                if tagged.last() != Some(&position) {
                    tagged.push(position);
                }
            }
            let positions = match self.streams.get_mut(stream) {
                Some(positions) => positions,
                None => self.streams.entry(stream.clone()).or_default(),
            };
            positions.push(position);
            let assigned = Assigned {
                position: Position::new(position),
                version: Version::new(positions.len() as u64),
                recorded_at,
            };
            self.events
                .push(RecordedEvent::new(event, stream.clone(), assigned));
        }
        let versions = written.into_iter().map(|index| {
            let stream = &append.streams[index].stream;
            (stream.clone(), self.version(stream))
        });
        Appended {
            position: self.head(),
            count,
            versions: versions.collect(),
            recorded_at,
            repeated: false,
        }
    }

    pub fn list_streams(&self, list: &StreamList) -> Vec<StreamSummary> {
        let selected = self.streams.iter().filter(|(id, _)| list.matches(id));
        let mut selected: Vec<_> = selected.collect();
        selected.sort_unstable_by_key(|(id, _)| *id);
        let summaries = selected.into_iter().take(list.limit);
        let summaries = summaries.map(|(stream, positions)| StreamSummary {
            stream: stream.clone(),
            version: Version::new(positions.len() as u64),
            position: Position::new(positions.last().copied().unwrap_or_default()),
        });
        summaries.collect()
    }

    pub fn read(&self, read: &Read) -> Page {
        match &read.scope {
            Scope::Stream(stream) => {
                let positions = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
                self.page(self.in_stream(positions, read), read)
            }
            Scope::Streams(streams) => {
                let lists = streams.iter().filter_map(|stream| self.streams.get(stream));
                let positions = query::Candidates::merged(lists.map(Vec::as_slice));
                self.page(self.at_positions(&positions, read), read)
            }
            Scope::All(query) => {
                let positions = query::candidates(query, &self.tags, self.events.len());
                let found = self.at_positions(&positions, read);
                self.page(found.filter(|event| query.matches(event)), read)
            }
        }
    }

    /// Returns a page of the leading events of `found`.
    fn page<'l>(&self, found: impl Iterator<Item = &'l RecordedEvent>, read: &Read) -> Page {
        let limit = read.limit.max(1);
        let (mut events, mut bytes, mut more) = (Vec::new(), 0, false);
        for event in found {
            if events.len() == limit || bytes >= read.max_bytes {
                more = true;
                break;
            }
            bytes += event.size();
            events.push(event.clone());
        }
        Page {
            events,
            head: self.head(),
            more,
        }
    }

    fn in_stream<'l>(
        &'l self,
        positions: &'l [u64],
        read: &Read,
    ) -> Box<dyn Iterator<Item = &'l RecordedEvent> + 'l> {
        let cursor = usize::try_from(read.cursor).unwrap_or(usize::MAX);
        match read.direction {
            Direction::Forward => {
                let selected = positions.get(cursor..).unwrap_or_default();
                Box::new(selected.iter().map(|p| self.at(*p)))
            }
            Direction::Backward => {
                let selected = &positions[..cursor.saturating_sub(1).min(positions.len())];
                Box::new(selected.iter().rev().map(|p| self.at(*p)))
            }
        }
    }

    fn at_positions<'l, 'p>(
        &'l self,
        positions: &'p query::Candidates<'l>,
        read: &Read,
    ) -> impl Iterator<Item = &'l RecordedEvent> + use<'l, 'p> {
        let positions = match read.direction {
            Direction::Forward => positions.forward(read.cursor),
            Direction::Backward => positions.backward(read.cursor),
        };
        positions.map(|p| self.at(p))
    }

    fn at(&self, position: u64) -> &RecordedEvent {
        &self.events[position as usize - 1]
    }
}
