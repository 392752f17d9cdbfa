//! The answers that were given to idempotency keys.

use std::collections::HashMap;

use factum::{AppendError, Appended, IdempotencyKey, Position, StreamId, Timestamp, Version};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;

use crate::error::Fault;

/// A first answer, and what it was given for.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) fingerprint: Uuid,
    pub(crate) appended: Appended,
}

impl Answer {
    /// The first answer again, for the same content.
    pub(crate) fn again(&self, key: &IdempotencyKey) -> Result<Appended, AppendError> {
        if self.fingerprint != key.fingerprint {
            return Err(AppendError::KeyReused {
                key: key.key.clone(),
            });
        }
        Ok(Appended {
            repeated: true,
            ..self.appended.clone()
        })
    }
}

/// The answers that were given to those of `keys` that were used.
pub(crate) async fn answers(
    connection: &mut SqliteConnection,
    keys: &[&str],
) -> Result<HashMap<String, Answer>, Fault> {
    let json = serde_json::to_string(keys).map_err(Fault::corrupt)?;
    let rows = sqlx::query(include_str!("sql/answers.sql"))
        .bind(json)
        .fetch_all(&mut *connection)
        .await?;
    let mut answers = HashMap::with_capacity(rows.len());
    for row in rows {
        let key: String = row.try_get(0)?;
        let corrupt = |what| Fault::corrupt(format!("the answer under key {key:?}: {what}"));
        let mut answer = answer(&row).map_err(corrupt)?;
        let Appended {
            position, count, ..
        } = answer.appended;
        let (first, last) = (position.get() - count + 1, position.get());
        answer.appended.versions = versions(connection, first as i64, last as i64).await?;
        answers.insert(key, answer);
    }
    Ok(answers)
}

/// The answer that a row holds, without the versions.
fn answer(row: &SqliteRow) -> Result<Answer, Fault> {
    let position: i64 = row.try_get(2)?;
    let count: i64 = row.try_get(3)?;
    if !(0..=position).contains(&count) {
        let what = format!("{count} events up to position {position}");
        return Err(Fault::corrupt(what));
    }
    let fingerprint: &[u8] = row.try_get(1)?;
    Ok(Answer {
        fingerprint: Uuid::from_slice(fingerprint).map_err(Fault::corrupt)?,
        appended: Appended {
            position: Position::new(position as u64),
            count: count as u64,
            versions: Vec::new(),
            recorded_at: Timestamp::from_micros(row.try_get(4)?),
            repeated: false,
        },
    })
}

/// The streams that got the events of these positions, and their versions then.
async fn versions(
    connection: &mut SqliteConnection,
    first: i64,
    last: i64,
) -> Result<Vec<(StreamId, Version)>, Fault> {
    if first > last {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(include_str!("sql/versions.sql"))
        .bind(first)
        .bind(last)
        .fetch_all(connection)
        .await?;
    let version = |row: &SqliteRow| {
        let stream: &str = row.try_get(0)?;
        let version: i64 = row.try_get(1)?;
        let stream = stream.parse().map_err(Fault::corrupt)?;
        Ok((stream, Version::new(version as u64)))
    };
    rows.iter().map(version).collect()
}
