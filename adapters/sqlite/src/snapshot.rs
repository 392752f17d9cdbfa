//! Snapshots in the table `factum_snapshot`.

use bytes::Bytes;
use factum_core::position::{Position, Version};
use factum_core::snapshot::Snapshot;
use factum_core::stream_id::StreamId;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::error::BackendError;

pub fn save(connection: &Connection, snapshot: &Snapshot) -> Result<(), BackendError> {
    let mut save = connection.prepare_cached(include_str!("sql/save_snapshot.sql"))?;
    save.execute((
        snapshot.stream.as_str(),
        snapshot.version.get() as i64,
        snapshot.position.get() as i64,
        snapshot.schema_version,
        &*snapshot.data,
    ))?;
    Ok(())
}

pub fn load(connection: &Connection, stream: &StreamId) -> Result<Option<Snapshot>, BackendError> {
    let mut statement = connection.prepare_cached(include_str!("sql/load_snapshot.sql"))?;
    let decode = |row: &Row<'_>| {
        Ok(Snapshot {
            stream: stream.clone(),
            version: Version::new(row.get(0)?),
            position: Position::new(row.get(1)?),
            schema_version: row.get(2)?,
            data: Bytes::copy_from_slice(row.get_ref(3)?.as_bytes()?),
        })
    };
    let loaded = statement.query_row([stream.as_str()], decode).optional();
    loaded.map_err(|error| match error.into() {
        BackendError::Corrupt(reason) => {
            BackendError::corrupt(format!("snapshot of {stream}: {reason}"))
        }
        other => other,
    })
}

pub fn clear(connection: &Connection) -> Result<(), BackendError> {
    Ok(connection.execute_batch("delete from factum_snapshot")?)
}
