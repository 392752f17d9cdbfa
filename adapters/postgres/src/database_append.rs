//! Appends that the database function `append_all` checks and stores: it assigns the positions.
//!
//! If the writer's cache is valid, [`cached_append`](crate::cached_append) stores appends without that function.

use std::collections::HashMap;

use factum_core::append::{
    Append, AppendCondition, AppendEvent, Appended, Conflict, ExpectedStream, ExpectedVersion,
    Violation,
};
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use serde_json::json;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use crate::document::ChangeColumns;
use crate::error::BackendError;
use crate::event_columns::EventColumns;
use crate::stream_state::StreamState;
use crate::write_request::AppendResult;
use crate::{appended, idempotency_key};

/// The results of the appends of one transaction, and the state of the log after it.
pub struct BatchOutcome {
    pub results: Vec<AppendResult>,
    pub head_before: Position,
    pub head: Position,
    /// The new states of the streams that got events, and those of streams that are known not to exist.
    pub streams: Vec<(StreamId, StreamState)>,
}

/// The array arguments of `append_all`, and of the document changes that belong to the appends.
#[derive(Default)]
struct AppendColumns {
    keys: Vec<Option<Vec<u8>>>,
    fingerprints: Vec<Option<Uuid>>,
    conditions: Vec<Option<String>>,
    /// The number of the append of each stream.
    stream_appends: Vec<i32>,
    stream_ids: Vec<String>,
    expected: Vec<i64>,
    event_counts: Vec<i32>,
    /// The number of the stream of each event.
    event_streams: Vec<i32>,
    /// The number of each event among the new events of its stream, from 1.
    event_numbers: Vec<i32>,
    events: EventColumns,
    /// The number of the append of each document change.
    change_appends: Vec<i32>,
    changes: ChangeColumns,
}

/// Stores the `appends` whose expectations hold, in one round trip and one transaction.
///
/// The appends must be independent of each other: see `append_all`.
pub async fn store(
    connection: &mut PgConnection,
    appends: &[&Append],
) -> Result<BatchOutcome, BackendError> {
    let mut columns = AppendColumns::default();
    for append in appends {
        columns.add(append)?;
    }
    let rows = columns.call(connection).await?;
    if rows.len() != appends.len() {
        return Err(BackendError::corrupt(format!(
            "{} results for {} appends",
            rows.len(),
            appends.len()
        )));
    }
    let mut outcome = BatchOutcome {
        results: Vec::with_capacity(appends.len()),
        head_before: Position::ZERO,
        head: Position::ZERO,
        streams: Vec::new(),
    };
    for (row, append) in rows.iter().zip(appends) {
        outcome.head_before = Position::new(row.try_get::<i64, _>("head")? as u64);
        outcome.head = outcome.head.max(outcome.head_before);
        let name: &str = row.try_get("outcome")?;
        let result = match (name, &append.key) {
            ("stored", _) => Ok(outcome.add_stored(row, append)?),
            ("conflict", _) => Err(decode_conflict(row, append)?.into()),
            ("known", Some(key)) => match idempotency_key::find(&mut *connection, key).await? {
                Ok(Some(first)) => Ok(first),
                Ok(None) => {
                    let reason = "an idempotency key was found, but not its first result";
                    return Err(BackendError::corrupt(reason));
                }
                Err(reused) => Err(reused),
            },
            (other, _) => {
                let reason = format!("unexpected outcome of an append: {other:?}");
                return Err(BackendError::corrupt(reason));
            }
        };
        outcome.results.push(result);
    }
    Ok(outcome)
}

impl BatchOutcome {
    fn add_stored(&mut self, row: &PgRow, append: &Append) -> Result<Appended, BackendError> {
        let mut last_events = vec![None; append.streams.len()];
        for AppendEvent { stream, event } in &append.events {
            last_events[*stream] = Some(event.id);
        }
        // The database returns the streams that got events in the order of the append.
        let written = last_events.iter().enumerate();
        let written = written.filter_map(|(index, last)| last.map(|_| index));
        let ids = written
            .clone()
            .map(|index| append.streams[index].stream.clone());
        let mut appended = appended::decode(row, ids.collect(), false)?;
        let keys: Option<Vec<i64>> = row.try_get("keys")?;
        let streams = appended.versions.iter().zip(keys.unwrap_or_default());
        let streams = streams.zip(written.clone());
        self.streams
            .extend(streams.map(|(((id, version), key), index)| {
                let state = StreamState {
                    key: Some(key),
                    version: version.get(),
                    last_event: last_events[index],
                };
                (id.clone(), state)
            }));
        let absent = append.streams.iter().zip(&last_events);
        let absent = absent.filter(|(part, last)| {
            let is_absent = [
                ExpectedVersion::NoStream,
                ExpectedVersion::Exact(Version::ZERO),
            ];
            last.is_none() && is_absent.contains(&part.expected)
        });
        let absent = absent.map(|(part, _)| (part.stream.clone(), StreamState::ABSENT));
        self.streams.extend(absent);
        sort_by_first_event(&mut appended, append, written);
        self.head = self.head.max(appended.position);
        Ok(appended)
    }
}

impl AppendColumns {
    fn add(&mut self, append: &Append) -> Result<(), BackendError> {
        let key = append.key.as_ref();
        self.keys.push(key.map(|key| key.key.clone().into_bytes()));
        self.fingerprints.push(key.map(|key| key.fingerprint));
        self.conditions
            .push(append.condition.as_ref().map(encode_condition));
        let append_number = self.keys.len() as i32;
        let changes = append.changes.as_slice().iter();
        self.change_appends.extend(changes.map(|_| append_number));
        self.changes.add(&append.changes);
        let first_stream = self.stream_ids.len();
        for ExpectedStream { stream, expected } in &append.streams {
            self.stream_appends.push(append_number);
            self.stream_ids.push(stream.to_string());
            self.expected.push(match expected {
                ExpectedVersion::Any => -1,
                ExpectedVersion::StreamExists => -2,
                ExpectedVersion::NoStream => 0,
                ExpectedVersion::Exact(version) => version.get() as i64,
            });
            self.event_counts.push(0);
        }
        for AppendEvent { stream, event } in &append.events {
            let stream = first_stream + stream;
            self.event_counts[stream] += 1;
            self.event_streams.push(stream as i32 + 1);
            self.event_numbers.push(self.event_counts[stream]);
            self.events.add(event)?;
        }
        Ok(())
    }

    async fn call(self, connection: &mut PgConnection) -> Result<Vec<PgRow>, BackendError> {
        let has_changes = !self.changes.is_empty();
        let sql = match has_changes {
            false => {
                "select * from append_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
            }
            true => include_str!("sql/append_with_documents.sql"),
        };
        let statement = sqlx::query(sql)
            .bind(self.keys)
            .bind(self.fingerprints)
            .bind(self.conditions)
            .bind(self.stream_appends)
            .bind(self.stream_ids)
            .bind(self.expected)
            .bind(self.event_counts)
            .bind(self.event_streams)
            .bind(self.event_numbers);
        let mut statement = self.events.bind(statement);
        if has_changes {
            statement = self.changes.bind(statement.bind(self.change_appends));
        }
        Ok(statement.fetch_all(connection).await?)
    }
}

/// Puts the versions of the streams `written` into the order of the first events of `append`.
fn sort_by_first_event(
    appended: &mut Appended,
    append: &Append,
    written: impl Iterator<Item = usize>,
) {
    let order = append.written_streams();
    if order.is_sorted() {
        return;
    }
    let versions = std::mem::take(&mut appended.versions);
    let mut versions: HashMap<usize, _> = written.zip(versions).collect();
    let versions = order.iter().filter_map(|index| versions.remove(index));
    appended.versions = versions.collect();
}

/// Encodes a condition as the JSON argument of the database function `newest_match`.
pub fn encode_condition(condition: &AppendCondition) -> String {
    let items = condition.query.items().iter().map(|item| {
        json!({
            "category": item.category,
            "prefix": item.stream_prefix,
            "names": item.event_types,
            "tags": item.tags,
        })
    });
    let items: Vec<_> = items.collect();
    json!({ "after": condition.after.get(), "items": items }).to_string()
}

fn decode_conflict(row: &PgRow, append: &Append) -> Result<Conflict, BackendError> {
    let actual: Option<Vec<i64>> = row.try_get("versions")?;
    let streams = append.streams.iter().map(|part| &part.stream);
    let actual: HashMap<&StreamId, i64> = streams.zip(actual.unwrap_or_default()).collect();
    let mut violations = append.violations(|stream| {
        let actual = actual.get(stream);
        Version::new(actual.map_or(0, |version| *version as u64))
    });
    let newest: Option<i64> = row.try_get("newest")?;
    let condition = append.condition.as_ref().zip(newest);
    violations.extend(condition.map(|(condition, found)| Violation::Condition {
        condition: condition.clone(),
        found: Position::new(found as u64),
    }));
    Ok(Conflict { violations })
}
