//! [`WriteBatch`]: appends that are checked with the writer's cache, and stored if the cache is still valid.
//!
//! The positions are assigned here. Other appends use the database function of
//! [`database_append`](crate::database_append).

use std::collections::{HashMap, HashSet};

use factum_core::append::{Append, AppendCondition, AppendEvent, Appended, Conflict, Violation};
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use sqlx::postgres::PgConnection;

use crate::document_conflicts::DocumentConflicts;
use crate::error::BackendError;
use crate::insert::NewRows;
use crate::stream_state::StreamState;
use crate::write_request::AppendResult;
use crate::writer_cache::WriterCache;

/// The state of the log after the accepted appends, and the rows to insert.
pub struct WriteBatch<'a> {
    /// The head before the batch.
    head_before: Position,
    /// The head after the batch.
    head: Position,
    results: Vec<LocalResult>,
    streams: HashMap<&'a StreamId, StreamState>,
    keys: HashSet<&'a str>,
    documents: DocumentConflicts<'a>,
    accepted: Vec<&'a Append>,
    rows: NewRows,
}

/// The result of an append, or `None` if only the database can decide.
pub type LocalResult = Option<AppendResult>;

impl<'a> WriteBatch<'a> {
    /// Checks `appends`.
    ///
    /// Returns `None` if another process has appended, or if there is nothing to insert: only an insert detects an outdated
    /// cache, so the database must check an append without events.
    pub async fn check(
        connection: &mut PgConnection,
        cache: &mut WriterCache,
        appends: &'a [&'a Append],
    ) -> Result<Option<Self>, BackendError> {
        let streams = appends.iter().flat_map(|append| &append.streams);
        let mut ids: Vec<&StreamId> = streams.map(|part| &part.stream).collect();
        ids.sort_unstable();
        ids.dedup();
        let Some(streams) = cache.load_streams(connection, &ids).await? else {
            return Ok(None);
        };
        let Some(newest) = cache.newest_matches(connection, appends).await? else {
            return Ok(None);
        };
        let mut batch = Self {
            head_before: cache.head,
            head: cache.head,
            results: Vec::with_capacity(appends.len()),
            streams,
            keys: HashSet::new(),
            documents: DocumentConflicts::default(),
            accepted: Vec::new(),
            rows: NewRows::default(),
        };
        for (append, newest) in appends.iter().zip(newest) {
            let result = match batch.violations(append, newest) {
                None => None,
                Some(violations) if violations.is_empty() => Some(Ok(batch.accept(append)?)),
                // If the key was used, its first result has precedence over a conflict.
                Some(_) if append.key.is_some() => None,
                Some(violations) => Some(Err(Conflict { violations }.into())),
            };
            batch.results.push(result);
        }
        Ok((!batch.rows.is_empty()).then_some(batch))
    }

    /// Returns the violations of `append`, or `None` if only the database can decide.
    ///
    /// `newest` is the newest stored event that matches the append condition.
    fn violations(&self, append: &Append, newest: Option<Position>) -> Option<Vec<Violation>> {
        if let Some(key) = &append.key
            && self.keys.contains(key.key.as_str())
        {
            return None;
        }
        if !self.documents.allow(&append.changes) || !self.has_required_events(append) {
            return None;
        }
        let mut violations = append.violations(|stream| {
            let state = self.streams.get(stream).unwrap_or(&StreamState::ABSENT);
            Version::new(state.version)
        });
        if let Some(condition) = &append.condition {
            let found = self.newest_match(condition).or(newest);
            violations.extend(found.map(|found| Violation::Condition {
                condition: condition.clone(),
                found,
            }));
        }
        Some(violations)
    }

    /// Returns whether each event that `append` requires is known as the last one of its stream.
    fn has_required_events(&self, append: &Append) -> bool {
        append.requires.iter().all(|id| {
            let mut streams = append.streams.iter();
            let is_last = |state: &StreamState| state.last_event == Some(*id);
            streams.any(|part| self.streams.get(&part.stream).is_some_and(is_last))
        })
    }

    /// Returns the newest event of this batch that matches `condition`.
    fn newest_match(&self, condition: &AppendCondition) -> Option<Position> {
        let events = self.accepted.iter().rev().flat_map(|append| {
            let events = append.events.iter().rev();
            events.map(|event| (append.stream_of(event), &event.event))
        });
        let newer = events.take_while(|(stream, event)| {
            let query = &condition.query;
            !query.matches_parts(stream, &event.name, &event.tags)
        });
        let found = self.head.get() - newer.count() as u64;
        let checked = self.head_before.max(condition.after);
        (found > checked.get()).then(|| Position::new(found))
    }

    /// Adds the rows of an append without violations; the time of the result is set by the insert.
    fn accept(&mut self, append: &'a Append) -> Result<Appended, BackendError> {
        let head_before = self.head;
        for AppendEvent { stream, event } in &append.events {
            let id = &append.streams[*stream].stream;
            self.head = self.head.plus(1);
            let position = self.head.get() as i64;
            let state = self.streams.entry(id).or_insert(StreamState::ABSENT);
            let key = *state.key.get_or_insert_with(|| {
                self.rows.stream_keys.push(position);
                self.rows.stream_ids.push(id.to_string());
                position
            });
            state.version += 1;
            state.last_event = Some(event.id);
            self.rows.event_streams.push(key);
            self.rows.versions.push(state.version as i64);
            self.rows.events.add(event)?;
            let tags: HashSet<&str> = event
                .tags
                .iter()
                .map(factum_core::tag::Tag::as_str)
                .collect();
            for tag in tags {
                self.rows.tags.push(tag.to_owned());
                self.rows.tag_positions.push(position);
            }
        }
        let versions = append.written_streams().into_iter().map(|index| {
            let id = &append.streams[index].stream;
            let version = self.streams.get(id).map_or(0, |state| state.version);
            (id.clone(), Version::new(version))
        });
        let versions = versions.collect();
        self.accepted.push(append);
        let count = self.head.get() - head_before.get();
        self.documents.add(&append.changes);
        self.rows.changes.add(&append.changes);
        if let Some(key) = &append.key {
            self.keys.insert(&key.key);
            self.rows.keys.push(key.key.clone().into_bytes());
            self.rows.fingerprints.push(key.fingerprint);
            self.rows.key_positions.push(self.head.get() as i64);
            self.rows.counts.push(count as i64);
        }
        Ok(Appended {
            position: self.head,
            count,
            versions,
            recorded_at: Timestamp::from_micros(0),
            repeated: false,
        })
    }

    /// Inserts the rows; call it once. Returns `false` if the head has moved and nothing was stored.
    pub async fn insert(&mut self, connection: &mut PgConnection) -> Result<bool, BackendError> {
        let rows = std::mem::take(&mut self.rows);
        let inserted = rows
            .insert(connection, (self.head_before, self.head))
            .await?;
        let Some(recorded_at) = inserted else {
            return Ok(false);
        };
        for appended in self.results.iter_mut().flatten().flatten() {
            appended.recorded_at = recorded_at;
        }
        Ok(true)
    }

    /// Updates `cache` after the commit, and returns the results.
    pub fn into_results(self, cache: &mut WriterCache) -> Vec<LocalResult> {
        let streams = self.streams.into_iter();
        let streams = streams.filter(|(_, state)| state.key.is_some());
        cache.commit(self.head, streams.map(|(id, state)| (id.clone(), state)));
        self.results
    }
}
