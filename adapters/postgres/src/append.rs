//! Appends as the arguments of the function that judges and stores them, and its answers.

use std::collections::HashMap;

use factum::{
    Append, AppendCondition, AppendError, Appended, Conflict, ExpectedVersion, Position, StreamId,
    Version, Violation,
};
use serde_json::json;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use crate::answer::appended;
use crate::document::Columns;
use crate::error::Fault;
use crate::find;
use crate::rows::EventRows;
use crate::stream::Stream;

/// What each append is told.
pub(crate) type Verdicts = Vec<Result<Appended, AppendError>>;

/// What the appends are told, and what is known by it.
pub(crate) struct Judged {
    pub(crate) verdicts: Verdicts,
    /// The head before.
    pub(crate) before: Position,
    /// The head now.
    pub(crate) head: Position,
    /// Where the streams stand that got events.
    pub(crate) streams: Vec<(StreamId, Stream)>,
}

/// The arrays that `append_all` takes, by append, by stream, by event; and those of the changes of documents.
#[derive(Default)]
struct Arguments {
    keys: Vec<Option<Vec<u8>>>,
    fingerprints: Vec<Option<Uuid>>,
    conditions: Vec<Option<String>>,
    appends: Vec<i32>,
    ids: Vec<String>,
    expected: Vec<i64>,
    counts: Vec<i32>,
    streams: Vec<i32>,
    places: Vec<i32>,
    events: EventRows,
    /// The append of each change of a document.
    changing: Vec<i32>,
    documents: Columns,
}

/// Stores those of `appends` whose expectations hold, in one round trip and one transaction. They must not get into
/// each other's way: see `append_all`.
pub(crate) async fn store(
    connection: &mut PgConnection,
    appends: &[&Append],
) -> Result<Judged, Fault> {
    let mut arguments = Arguments::default();
    for append in appends {
        arguments.add(append)?;
    }
    let rows = arguments.call(connection).await?;
    if rows.len() != appends.len() {
        return Err(Fault::corrupt(format!(
            "{} answers to {} appends",
            rows.len(),
            appends.len()
        )));
    }
    let mut judged = Judged {
        verdicts: Vec::with_capacity(appends.len()),
        before: Position::ZERO,
        head: Position::ZERO,
        streams: Vec::new(),
    };
    for (row, append) in rows.iter().zip(appends) {
        judged.before = Position::new(row.try_get::<i64, _>("head")? as u64);
        judged.head = judged.head.max(judged.before);
        let outcome: &str = row.try_get("outcome")?;
        let verdict = match (outcome, &append.key) {
            ("stored", _) => Ok(judged.stored(row, append)?),
            ("conflict", _) => Err(conflict(row, append)?.into()),
            ("known", Some(key)) => match find::find(&mut *connection, key).await? {
                Ok(Some(first)) => Ok(first),
                Ok(None) => return Err(Fault::corrupt("an idempotency key came and went")),
                Err(reused) => Err(reused),
            },
            (other, _) => return Err(Fault::corrupt(format!("the outcome {other:?}"))),
        };
        judged.verdicts.push(verdict);
    }
    Ok(judged)
}

impl Judged {
    fn stored(&mut self, row: &PgRow, append: &Append) -> Result<Appended, Fault> {
        let streams = append.streams.iter().filter(|part| !part.events.is_empty());
        let appended = appended(
            row,
            streams.map(|part| part.stream.clone()).collect(),
            false,
        )?;
        let keys: Option<Vec<i64>> = row.try_get("keys")?;
        let streams = appended.versions.iter().zip(keys.unwrap_or_default());
        self.streams.extend(streams.map(|((id, version), key)| {
            let stream = Stream {
                key: Some(key),
                version: version.get(),
            };
            (id.clone(), stream)
        }));
        self.head = self.head.max(appended.position);
        Ok(appended)
    }
}

impl Arguments {
    fn add(&mut self, append: &Append) -> Result<(), Fault> {
        let key = append.key.as_ref();
        self.keys.push(key.map(|key| key.key.clone().into_bytes()));
        self.fingerprints.push(key.map(|key| key.fingerprint));
        self.conditions
            .push(append.condition.as_ref().map(condition));
        let number = self.keys.len() as i32;
        let changes = append.changes.as_slice().iter();
        self.changing.extend(changes.map(|_| number));
        self.documents.add(&append.changes);
        for part in &append.streams {
            self.appends.push(number);
            self.ids.push(part.stream.to_string());
            self.expected.push(match part.expected {
                ExpectedVersion::Any => -1,
                ExpectedVersion::StreamExists => -2,
                ExpectedVersion::NoStream => 0,
                ExpectedVersion::Exact(version) => version.get() as i64,
            });
            self.counts.push(part.events.len() as i32);
            for (place, event) in (1..).zip(&part.events) {
                self.streams.push(self.ids.len() as i32);
                self.places.push(place);
                self.events.add(event)?;
            }
        }
        Ok(())
    }

    async fn call(self, connection: &mut PgConnection) -> Result<Vec<PgRow>, Fault> {
        let changes = !self.documents.is_empty();
        let sql = match changes {
            false => {
                "select * from append_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
            }
            true => include_str!("sql/append_changing.sql"),
        };
        let statement = sqlx::query(sql)
            .bind(self.keys)
            .bind(self.fingerprints)
            .bind(self.conditions)
            .bind(self.appends)
            .bind(self.ids)
            .bind(self.expected)
            .bind(self.counts)
            .bind(self.streams)
            .bind(self.places);
        let mut statement = self.events.bind(statement);
        if changes {
            statement = self.documents.bind(statement.bind(self.changing));
        }
        Ok(statement.fetch_all(connection).await?)
    }
}

/// The form that `newest_match` takes.
pub(crate) fn condition(condition: &AppendCondition) -> String {
    let items = condition.query.items().iter().map(|item| {
        json!({
            "category": item.category,
            "prefix": item.stream_prefix,
            "names": item.names,
            "tags": item.tags,
        })
    });
    let items: Vec<_> = items.collect();
    json!({ "after": condition.after.get(), "items": items }).to_string()
}

fn conflict(row: &PgRow, append: &Append) -> Result<Conflict, Fault> {
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
