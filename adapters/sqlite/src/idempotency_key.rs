//! Looks up the first result of an idempotency key.

use factum_core::append::{AppendError, Appended, IdempotencyKey};
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};
use uuid::Uuid;

use crate::error::BackendError;

/// The first result of an idempotency key, and the fingerprint of its content.
#[derive(Debug, Clone)]
pub struct FirstResult {
    pub fingerprint: Uuid,
    pub appended: Appended,
}

impl FirstResult {
    /// Returns the first result for a repeated request, or an error if `key` is for other content.
    pub fn repeat(self, key: &IdempotencyKey) -> Result<Appended, AppendError> {
        if !key.is_for(self.fingerprint) {
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

/// Returns the first result of `key`, if the key was used.
pub fn find(connection: &Connection, key: &str) -> Result<Option<FirstResult>, BackendError> {
    let mut statement = connection.prepare_cached(include_str!("sql/find_key.sql"))?;
    let columns = |row: &Row<'_>| {
        let fingerprint: Vec<u8> = row.get(0)?;
        let numbers: (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((fingerprint, numbers))
    };
    let add_key = |error| match error {
        BackendError::Corrupt(reason) => {
            BackendError::corrupt(format!("idempotency key {key:?}: {reason}"))
        }
        other => other,
    };
    let corrupt = |reason: String| add_key(BackendError::corrupt(reason));
    let found = statement.query_row([key], columns).optional();
    let found = found.map_err(|error| add_key(error.into()))?;
    let Some((fingerprint, (position, count, recorded_at))) = found else {
        return Ok(None);
    };
    if !(0..=position).contains(&count) {
        let reason = format!("{count} events up to position {position}");
        return Err(corrupt(reason));
    }
    let fingerprint = Uuid::from_slice(&fingerprint);
    let versions = versions(connection, position - count + 1, position);
    Ok(Some(FirstResult {
        fingerprint: fingerprint.map_err(|error| corrupt(error.to_string()))?,
        appended: Appended {
            position: Position::new(position as u64),
            count: count as u64,
            versions: versions.map_err(add_key)?,
            recorded_at: Timestamp::from_micros(recorded_at),
            repeated: false,
        },
    }))
}

/// Returns the streams of the events from `first` to `last`, and their versions after those events.
fn versions(
    connection: &Connection,
    first: i64,
    last: i64,
) -> Result<Vec<(StreamId, Version)>, BackendError> {
    if first > last {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(include_str!("sql/stream_versions.sql"))?;
    let mut rows = statement.query([first, last])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        let stream: String = row.get(0)?;
        let version: i64 = row.get(1)?;
        let stream = stream.parse().map_err(BackendError::corrupt)?;
        let version = u64::try_from(version).map_err(BackendError::corrupt)?;
        versions.push((stream, Version::new(version)));
    }
    Ok(versions)
}
