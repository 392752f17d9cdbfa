//! [`Batch`]: appends that are judged here, on what the writer knows, and stored if that was still true.

use std::collections::{HashMap, HashSet};

use factum::document::{Changes, Revision};
use factum::{
    Append, AppendCondition, AppendError, Appended, Conflict, Position, StreamAppend, StreamId,
    Timestamp, Version, Violation,
};
use sqlx::postgres::PgConnection;

use crate::error::Fault;
use crate::insert::Rows;
use crate::known::Known;
use crate::stream::Stream;
use crate::touched::Touched;

/// The store as it will be behind the appends that were taken so far, and the rows that make it so.
pub(crate) struct Batch<'a> {
    /// Positions of the batch begin behind it.
    pub(crate) committed: Position,
    pub(crate) head: Position,
    appends: &'a [&'a Append],
    verdicts: Vec<Verdict>,
    streams: HashMap<&'a StreamId, Stream>,
    keys: HashSet<&'a str>,
    documents: Touched<'a>,
    taken: Vec<&'a StreamAppend>,
    rows: Rows,
}

/// What an append is told; `None`: only the database can say.
pub(crate) type Verdict = Option<Result<Appended, AppendError>>;

impl<'a> Batch<'a> {
    /// Judges `appends`. `None`: somebody else has written, or there is nothing to store by which one could tell.
    pub(crate) async fn of(
        connection: &mut PgConnection,
        known: &mut Known,
        appends: &'a [&'a Append],
    ) -> Result<Option<Self>, Fault> {
        let streams = appends.iter().flat_map(|append| &append.streams);
        let mut ids: Vec<&StreamId> = streams.map(|part| &part.stream).collect();
        ids.sort_unstable();
        ids.dedup();
        let Some(streams) = known.learn(connection, &ids).await? else {
            return Ok(None);
        };
        let Some(newest) = known.newest(connection, appends).await? else {
            return Ok(None);
        };
        let mut batch = Self {
            committed: known.head,
            head: known.head,
            appends,
            verdicts: Vec::with_capacity(appends.len()),
            streams,
            keys: HashSet::new(),
            documents: Touched::default(),
            taken: Vec::new(),
            rows: Rows::default(),
        };
        for (append, newest) in appends.iter().zip(newest) {
            let verdict = match batch.judge(append, newest) {
                None => None,
                Some(violations) if violations.is_empty() => Some(Ok(batch.take(append)?)),
                // A key that was used counts before any expectation.
                Some(_) if append.key.is_some() => None,
                Some(violations) => Some(Err(Conflict { violations }.into())),
            };
            batch.verdicts.push(verdict);
        }
        Ok((!batch.rows.is_empty()).then_some(batch))
    }

    /// What the append violates, where `newest` is the newest stored event that its condition matches. `None`:
    /// that cannot be told here.
    fn judge(&self, append: &Append, newest: Option<Position>) -> Option<Vec<Violation>> {
        if let Some(key) = &append.key
            && self.keys.contains(key.key.as_str())
        {
            return None;
        }
        if !self.documents.allow(&append.changes) {
            return None;
        }
        let mut violations = append.violations(|stream| {
            let stands = self.streams.get(stream).unwrap_or(&Stream::NONE);
            Version::new(stands.version)
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

    /// The newest event of this batch that matches.
    fn newest_match(&self, condition: &AppendCondition) -> Option<Position> {
        let events = self.taken.iter().rev().flat_map(|part| {
            let events = part.events.iter().rev();
            events.map(|event| (&part.stream, event))
        });
        let behind = events.take_while(|(stream, event)| {
            let query = &condition.query;
            !query.matches_parts(stream, &event.name, &event.tags)
        });
        let found = self.head.get() - behind.count() as u64;
        let known = self.committed.max(condition.after);
        (found > known.get()).then(|| Position::new(found))
    }

    /// Makes the rows of an append that was judged to hold. When it is recorded is not known yet.
    fn take(&mut self, append: &'a Append) -> Result<Appended, Fault> {
        let before = self.head;
        let mut versions = Vec::with_capacity(append.streams.len());
        for part in append.streams.iter().filter(|part| !part.events.is_empty()) {
            let stream = self.streams.entry(&part.stream).or_insert(Stream::NONE);
            let first = self.head.plus(1).get() as i64;
            let key = *stream.key.get_or_insert_with(|| {
                self.rows.stream_keys.push(first);
                self.rows.stream_ids.push(part.stream.to_string());
                first
            });
            for event in &part.events {
                self.head = self.head.plus(1);
                stream.version += 1;
                self.rows.event_streams.push(key);
                self.rows.versions.push(stream.version as i64);
                self.rows.events.add(event)?;
                let tags: HashSet<&str> = event.tags.iter().map(factum::Tag::as_str).collect();
                for tag in tags {
                    self.rows.tags.push(tag.to_owned());
                    self.rows.tag_positions.push(self.head.get() as i64);
                }
            }
            versions.push((part.stream.clone(), Version::new(stream.version)));
            self.taken.push(part);
        }
        let count = self.head.get() - before.get();
        self.documents.take(&append.changes);
        self.rows.documents.add(&append.changes);
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

    /// Whether `changes` may be made together with those of the appends.
    pub(crate) fn allows(&self, changes: &Changes) -> bool {
        self.documents.allow(changes)
    }

    /// The appends that were taken.
    pub(crate) fn stored(&self) -> impl Iterator<Item = (&Append, &Appended)> {
        let told = self.appends.iter().zip(&self.verdicts);
        told.filter_map(|(append, verdict)| Some((*append, verdict.as_ref()?.as_ref().ok()?)))
    }

    /// Stores the rows, together with `changes`, once; the revision of the documents that have changed. `None`: the head was
    /// not `committed` any more, nothing was stored.
    pub(crate) async fn insert(
        &mut self,
        connection: &mut PgConnection,
        changes: &Changes,
    ) -> Result<Option<Revision>, Fault> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.documents.add(changes);
        let inserted = rows.insert(connection, (self.committed, self.head)).await?;
        let Some((recorded_at, revision)) = inserted else {
            return Ok(None);
        };
        for appended in self.verdicts.iter_mut().flatten().flatten() {
            appended.recorded_at = recorded_at;
        }
        Ok(Some(revision))
    }

    /// What was committed is known from now on.
    pub(crate) fn settle(self, known: &mut Known) -> Vec<Verdict> {
        known.head = self.head;
        for (id, stream) in self.streams {
            if stream.key.is_some() {
                known.streams.insert(id.clone(), stream);
            }
        }
        self.verdicts
    }
}
