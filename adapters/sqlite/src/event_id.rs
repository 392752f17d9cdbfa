//! Looks up stored event ids.

use factum_core::append::EventIdRun;
use factum_core::position::Position;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

use crate::error::BackendError;
use crate::record;

/// Returns a stored id of `run`, and its position.
pub fn find(
    connection: &Connection,
    run: &EventIdRun,
) -> Result<Option<(Uuid, Position)>, BackendError> {
    run.find_stored(
        |id| find_run(connection, id),
        |position| id_at(connection, position),
    )
}

/// Returns the last run of consecutive ids that starts with `id` or a lower id.
fn find_run(connection: &Connection, id: Uuid) -> Result<Option<(Uuid, Position)>, BackendError> {
    let mut statement = connection.prepare_cached(include_str!("sql/find_id_run.sql"))?;
    let found = statement
        .query_row([id.as_bytes().as_slice()], |row| {
            let position = Position::new(row.get::<_, i64>(1)? as u64);
            Ok(decode(row.get_ref(0)?, position).map(|id| (id, position)))
        })
        .optional()?;
    found.transpose()
}

fn id_at(connection: &Connection, position: Position) -> Result<Option<Uuid>, BackendError> {
    let sql = "select id from factum_event where position = ?";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement
        .query_row([position.get() as i64], |row| {
            Ok(decode(row.get_ref(0)?, position))
        })
        .optional()?;
    found.transpose()
}

fn decode(value: ValueRef<'_>, position: Position) -> Result<Uuid, BackendError> {
    record::uuid(value, "id")
        .map_err(|reason| BackendError::corrupt(format!("event at position {position}: {reason}")))
}
