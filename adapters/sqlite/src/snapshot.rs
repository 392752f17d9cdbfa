//! Snapshots in the table `factum_snapshot`.

use bytes::Bytes;
use factum::{Position, Snapshot, StreamId, Version};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::error::BackendError;
use crate::write_connection::WriteLock;

pub async fn save(writer: &WriteLock, snapshot: &Snapshot) -> Result<(), BackendError> {
    let save = sqlx::query(include_str!("sql/save_snapshot.sql"))
        .bind(snapshot.stream.as_str())
        .bind(snapshot.version.get() as i64)
        .bind(snapshot.position.get() as i64)
        .bind(i64::from(snapshot.schema_version))
        .bind(&*snapshot.data);
    writer.execute(save).await
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

pub async fn clear(writer: &WriteLock) -> Result<(), BackendError> {
    let clear = "delete from factum_snapshot";
    writer.execute(sqlx::query(clear)).await
}
