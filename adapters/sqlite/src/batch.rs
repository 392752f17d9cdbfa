//! Stores a batch of requests in one transaction: checks each request, and assigns the positions.

use factum_core::append::{
    Append, AppendCondition, AppendError, AppendEvent, Appended, Conflict, EventIdRun, Violation,
};
use factum_core::position::{Position, Version};
use factum_core::timestamp::Timestamp;
use rusqlite::Connection;

use crate::document::change;
use crate::error::BackendError;
use crate::event_id;
use crate::idempotency_key::{self, FirstResult};
use crate::inline::Inline;
use crate::insert::{EventPlace, Inserts};
use crate::query;
use crate::stream_state::StreamState;
use crate::write_connection::{WriteConnection, WriteTransaction};
use crate::write_request::{AppendResult, WriteRequest};
use crate::writer_cache::WriterCache;

/// Executes `requests` in one transaction, sets their results, and returns the head.
///
/// An append is stored if its expectations hold. On an error nothing was stored, except that the outcome of a failed
/// commit is unknown.
pub fn store(
    writer: &mut WriteConnection,
    inline: &Inline,
    requests: &mut [WriteRequest],
) -> Result<Position, BackendError> {
    let mut transaction = writer.begin()?;
    // Before the appends, because inline projections read their documents first and change them last.
    for request in &mut *requests {
        if let WriteRequest::ChangeDocuments(changes, responder) = request {
            responder.result = Some(change(transaction.connection, changes)?);
        }
    }
    let head_before = transaction.cache.end.head;
    let builds = match requests.iter().any(WriteRequest::is_append) {
        true => inline.begin(transaction.connection, head_before)?,
        false => Vec::new(),
    };
    append_all(&mut transaction, requests)?;
    let head = transaction.cache.end.head;
    inline.finish(transaction.connection, builds, requests)?;
    transaction.end()?;
    Ok(head)
}

/// Stores `append` with the time at which another store recorded its events.
///
/// Inline projections are not updated: their consumers process the events.
pub fn import(
    writer: &mut WriteConnection,
    append: &Append,
    recorded_at: Timestamp,
) -> Result<AppendResult, BackendError> {
    let mut transaction = writer.begin()?;
    let mut batch = WriteBatch::new(&mut transaction)?;
    let earliest = batch.cache.end.recorded_at;
    batch.recorded_at = recorded_at.min(Timestamp::now()).max(earliest);
    let result = batch.append(append)?;
    drop(batch);
    transaction.end()?;
    Ok(result)
}

fn append_all(
    transaction: &mut WriteTransaction<'_>,
    requests: &mut [WriteRequest],
) -> Result<(), BackendError> {
    let mut batch = WriteBatch::new(transaction)?;
    for request in requests {
        if let WriteRequest::Append(append, responder) = request {
            responder.result = Some(batch.append(append)?);
        }
    }
    Ok(())
}

/// The state of the log after the accepted appends.
struct WriteBatch<'t> {
    connection: &'t Connection,
    cache: &'t mut WriterCache,
    inserts: Inserts<'t>,
    recorded_at: Timestamp,
}

impl<'t> WriteBatch<'t> {
    fn new(transaction: &'t mut WriteTransaction<'_>) -> Result<Self, BackendError> {
        let connection = &*transaction.connection;
        let cache = &mut *transaction.cache;
        Ok(Self {
            inserts: Inserts::new(connection)?,
            recorded_at: cache.end.recorded_at.max(Timestamp::now()),
            connection,
            cache,
        })
    }

    fn append(&mut self, append: &Append) -> Result<AppendResult, BackendError> {
        if let Some(key) = &append.key
            && let Some(first) = idempotency_key::find(self.connection, &key.key)?
        {
            return Ok(first.repeat(key));
        }
        let states = append.streams.iter();
        let states = states.map(|part| self.cache.stream_state(self.connection, &part.stream));
        let states: Vec<StreamState> = states.collect::<Result<_, _>>()?;
        let mut violations = violations(append, &states);
        if let Some(condition) = &append.condition
            && let Some(found) = self.newest_match(condition)?
        {
            violations.push(Violation::Condition {
                condition: condition.clone(),
                found,
            });
        }
        for id in &append.requires {
            // Fast path: it is the last event of a stream of the append.
            if states.iter().any(|state| state.last_event == Some(*id)) {
                continue;
            }
            if event_id::find(self.connection, &EventIdRun::of(*id))?.is_none() {
                violations.push(Violation::MissingEvent { id: *id });
                break;
            }
        }
        if !violations.is_empty() {
            return Ok(Err(Conflict { violations }.into()));
        }
        let id_runs: Vec<EventIdRun> = append.event_id_runs().collect();
        if let Some(reused) = self.find_reused_id(&id_runs)? {
            return Ok(Err(reused));
        }
        if !append.changes.is_empty()
            && let Err(rejected) = change(self.connection, &append.changes)?
        {
            return Ok(Err(rejected.into()));
        }
        self.accept(append, states, &id_runs).map(Ok)
    }

    /// Returns the newest event that violates `condition`, including the events of this batch.
    fn newest_match(&self, condition: &AppendCondition) -> Result<Option<Position>, BackendError> {
        if self.cache.end.head <= condition.after {
            return Ok(None);
        }
        query::newest_match(self.connection, condition)
    }

    /// Returns the error for an event id that is stored already, including the events of this batch.
    fn find_reused_id(&self, runs: &[EventIdRun]) -> Result<Option<AppendError>, BackendError> {
        for run in runs {
            // Fast path: generated ids are ordered by time.
            let last = self.cache.end.last_id_run;
            if last.is_none_or(|last| last < run.first && !run.may_continue(last)) {
                continue;
            }
            if let Some((id, position)) = event_id::find(self.connection, run)? {
                return Ok(Some(AppendError::EventIdReused { id, position }));
            }
        }
        Ok(None)
    }

    /// Inserts the rows of an append without violations.
    fn accept(
        &mut self,
        append: &Append,
        mut states: Vec<StreamState>,
        id_runs: &[EventIdRun],
    ) -> Result<Appended, BackendError> {
        let cache = &mut *self.cache;
        let head_before = cache.end.head;
        let mut id_runs = id_runs.iter().peekable();
        self.inserts.begin_append();
        for (index, AppendEvent { stream, event }) in append.events.iter().enumerate() {
            let state = &mut states[*stream];
            let key = match state.key {
                Some(key) => key,
                None => {
                    cache.end.last_stream_key += 1;
                    let key = cache.end.last_stream_key;
                    self.inserts
                        .insert_stream(key, &append.streams[*stream].stream)?;
                    *state.key.insert(key)
                }
            };
            state.version += 1;
            state.last_event = Some(event.id);
            let id_run = id_runs.next_if(|run| run.index == index);
            cache.end.last_id_run = cache.end.last_id_run.max(id_run.map(|run| run.first));
            cache.end.head = cache.end.head.plus(1);
            let place = EventPlace {
                position: cache.end.head.get() as i64,
                stream: key,
                version: i64::try_from(state.version).map_err(BackendError::corrupt)?,
                recorded_at: self.recorded_at.as_micros(),
                starts_id_run: id_run.is_some(),
            };
            self.inserts.insert_event(event, &place)?;
        }
        let written = append.written_streams();
        let mut versions = Vec::with_capacity(written.len());
        for index in written {
            let (stream, state) = (&append.streams[index].stream, states[index]);
            cache.streams.insert(stream.clone(), state);
            versions.push((stream.clone(), Version::new(state.version)));
        }
        let appended = Appended {
            position: cache.end.head,
            count: cache.end.head.get() - head_before.get(),
            versions,
            recorded_at: self.recorded_at,
            repeated: false,
        };
        if appended.count > 0 {
            cache.end.recorded_at = self.recorded_at;
        }
        if let Some(key) = &append.key {
            let first = FirstResult {
                fingerprint: key.fingerprint,
                appended: appended.clone(),
            };
            self.inserts.insert_key(&key.key, &first)?;
        }
        Ok(appended)
    }
}

/// Returns the violated expectations; `states` are those of the streams, in the same order.
fn violations(append: &Append, states: &[StreamState]) -> Vec<Violation> {
    let mut states = states.iter();
    append.violations(|_| Version::new(states.next().map_or(0, |state| state.version)))
}
