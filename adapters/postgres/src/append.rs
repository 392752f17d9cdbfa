//! A batch of appends as the arguments of the function that judges and stores them, and its answers.

use factum::{
    Append, AppendError, Appended, Condition, Conflict, ContentType, Expected, NewEvent, Position,
    StreamId, Timestamp, Version, Violation,
};
use serde_json::json;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use crate::error::Fault;

/// What each append of a batch is told.
pub(crate) type Answers = Vec<Result<Appended, AppendError>>;

/// The arrays that `append_all` takes, by append, by stream, by event.
#[derive(Default)]
struct Arguments {
    keys: Vec<Option<Vec<u8>>>,
    fingerprints: Vec<Option<Uuid>>,
    conditions: Vec<Option<String>>,
    streams: Vec<i32>,
    ids: Vec<String>,
    expected: Vec<i64>,
    counts: Vec<i32>,
    events: Events,
}

#[derive(Default)]
struct Events {
    ids: Vec<Uuid>,
    names: Vec<String>,
    schema_versions: Vec<i64>,
    content_types: Vec<Option<String>>,
    data: Vec<Option<String>>,
    bytes: Vec<Option<Vec<u8>>>,
    metadata: Vec<String>,
    tags: Vec<Option<String>>,
}

/// Stores those of `appends` whose expectations hold, in one round trip and one transaction.
pub(crate) async fn store(
    connection: &mut PgConnection,
    appends: &[&Append],
) -> Result<Answers, Fault> {
    let mut arguments = Arguments::default();
    for append in appends {
        arguments.add(append)?;
    }
    let events = arguments.events;
    let rows = sqlx::query(
        "select * from append_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(arguments.keys)
    .bind(arguments.fingerprints)
    .bind(arguments.conditions)
    .bind(arguments.streams)
    .bind(arguments.ids)
    .bind(arguments.expected)
    .bind(arguments.counts)
    .bind(events.ids)
    .bind(events.names)
    .bind(events.schema_versions)
    .bind(events.content_types)
    .bind(events.data)
    .bind(events.bytes)
    .bind(events.metadata)
    .bind(events.tags)
    .fetch_all(connection)
    .await?;
    if rows.len() != appends.len() {
        return Err(Fault::corrupt(format!(
            "{} answers to {} appends",
            rows.len(),
            appends.len()
        )));
    }
    rows.iter()
        .zip(appends)
        .map(|(row, append)| answer(row, append))
        .collect()
}

impl Arguments {
    fn add(&mut self, append: &Append) -> Result<(), Fault> {
        self.keys
            .push(append.key.as_ref().map(|key| key.key.clone().into_bytes()));
        self.fingerprints
            .push(append.key.as_ref().map(|key| key.fingerprint));
        self.conditions
            .push(append.condition.as_ref().map(condition));
        self.streams.push(append.streams.len() as i32);
        for part in &append.streams {
            self.ids.push(part.stream.to_string());
            self.expected.push(match part.expected {
                Expected::Any => -1,
                Expected::StreamExists => -2,
                Expected::NoStream => 0,
                Expected::Exact(version) => version.get() as i64,
            });
            self.counts.push(part.events.len() as i32);
            for event in &part.events {
                self.events.add(event)?;
            }
        }
        Ok(())
    }
}

impl Events {
    fn add(&mut self, event: &NewEvent) -> Result<(), Fault> {
        self.ids.push(event.id);
        self.names.push(event.name.to_string());
        self.schema_versions.push(i64::from(event.schema_version));
        let (content_type, data, bytes) = match &event.content_type {
            ContentType::Json => {
                let text = std::str::from_utf8(&event.data).map_err(Fault::corrupt)?;
                (None, Some(text.to_owned()), None)
            }
            other => (Some(other.to_string()), None, Some(event.data.to_vec())),
        };
        self.content_types.push(content_type);
        self.data.push(data);
        self.bytes.push(bytes);
        self.metadata
            .push(serde_json::to_string(&*event.metadata).map_err(Fault::corrupt)?);
        let tags: Vec<&str> = event.tags.iter().map(factum::Tag::as_str).collect();
        self.tags.push((!tags.is_empty()).then(|| tags.join("\n")));
        Ok(())
    }
}

/// The form that `newest_match` takes.
fn condition(condition: &Condition) -> String {
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

fn answer(row: &PgRow, append: &Append) -> Result<Result<Appended, AppendError>, Fault> {
    let outcome: &str = row.try_get("outcome")?;
    Ok(match outcome {
        "stored" => Ok(appended(row, false)?),
        "repeated" => Ok(appended(row, true)?),
        "reused" => {
            let key = append
                .key
                .as_ref()
                .map(|key| key.key.clone())
                .unwrap_or_default();
            Err(AppendError::KeyReused { key })
        }
        "conflict" => Err(conflict(row, append)?.into()),
        other => return Err(Fault::corrupt(format!("the outcome {other:?}"))),
    })
}

/// Reads the columns `position`, `count`, `recorded_at`, `streams` and `versions`.
pub(crate) fn appended(row: &PgRow, repeated: bool) -> Result<Appended, Fault> {
    let streams: Option<Vec<String>> = row.try_get("streams")?;
    let versions: Option<Vec<i64>> = row.try_get("versions")?;
    let versions = streams
        .unwrap_or_default()
        .into_iter()
        .zip(versions.unwrap_or_default());
    let versions = versions.map(|(stream, version)| {
        let stream: StreamId = stream.parse().map_err(Fault::corrupt)?;
        Ok((stream, Version::new(version as u64)))
    });
    Ok(Appended {
        position: Position::new(row.try_get::<i64, _>("position")? as u64),
        count: row.try_get::<i64, _>("count")? as u64,
        versions: versions.collect::<Result<_, Fault>>()?,
        recorded_at: Timestamp::from_micros(row.try_get("recorded_at")?),
        repeated,
    })
}

fn conflict(row: &PgRow, append: &Append) -> Result<Conflict, Fault> {
    let actual: Vec<i64> = row.try_get("versions")?;
    let streams = append
        .streams
        .iter()
        .zip(actual)
        .filter_map(|(part, actual)| {
            let actual = Version::new(actual as u64);
            (!part.expected.allows(actual)).then(|| Violation::Version {
                stream: part.stream.clone(),
                expected: part.expected,
                actual,
            })
        });
    let newest: Option<i64> = row.try_get("newest")?;
    let condition = append.condition.as_ref().zip(newest);
    let condition = condition.map(|(condition, found)| Violation::Condition {
        condition: condition.clone(),
        found: Position::new(found as u64),
    });
    Ok(Conflict {
        violations: streams.chain(condition).collect(),
    })
}
