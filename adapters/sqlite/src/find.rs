//! The answers that were given to idempotency keys.

use factum::{AppendError, Appended, IdempotencyKey, Position, StreamId, Timestamp, Version};
use rusqlite::{Connection, OptionalExtension as _, Row};
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
    pub(crate) fn again(self, key: &IdempotencyKey) -> Result<Appended, AppendError> {
        if self.fingerprint != key.fingerprint {
            return Err(AppendError::KeyReused {
                key: key.key.clone(),
            });
        }
        Ok(Appended {
            repeated: true,
            ..self.appended
        })
    }
}

/// The answer that was given to `key`, if it was used.
pub(crate) fn answer(connection: &Connection, key: &str) -> Result<Option<Answer>, Fault> {
    let mut statement = connection.prepare_cached(include_str!("sql/answer.sql"))?;
    let columns = |row: &Row<'_>| {
        let fingerprint: Vec<u8> = row.get(0)?;
        let numbers: (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((fingerprint, numbers))
    };
    let corrupt = |what: Fault| Fault::corrupt(format!("the answer under key {key:?}: {what}"));
    let found = statement.query_row([key], columns).optional();
    let found = found.map_err(|error| of_the_answer(error.into(), corrupt))?;
    let Some((fingerprint, (position, count, recorded_at))) = found else {
        return Ok(None);
    };
    if !(0..=position).contains(&count) {
        let what = format!("{count} events up to position {position}");
        return Err(corrupt(Fault::corrupt(what)));
    }
    let fingerprint = Uuid::from_slice(&fingerprint);
    let versions = versions(connection, position - count + 1, position);
    Ok(Some(Answer {
        fingerprint: fingerprint.map_err(|error| corrupt(Fault::corrupt(error)))?,
        appended: Appended {
            position: Position::new(position as u64),
            count: count as u64,
            versions: versions.map_err(|fault| of_the_answer(fault, corrupt))?,
            recorded_at: Timestamp::from_micros(recorded_at),
            repeated: false,
        },
    }))
}

fn of_the_answer(fault: Fault, corrupt: impl Fn(Fault) -> Fault) -> Fault {
    match fault {
        Fault::Corrupt(_) => corrupt(fault),
        other => other,
    }
}

/// The streams that got the events of these positions, and their versions then.
fn versions(
    connection: &Connection,
    first: i64,
    last: i64,
) -> Result<Vec<(StreamId, Version)>, Fault> {
    if first > last {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(include_str!("sql/versions.sql"))?;
    let mut rows = statement.query([first, last])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        let stream: String = row.get(0)?;
        let version: i64 = row.get(1)?;
        let stream = stream.parse().map_err(Fault::corrupt)?;
        let version = u64::try_from(version).map_err(Fault::corrupt)?;
        versions.push((stream, Version::new(version)));
    }
    Ok(versions)
}
