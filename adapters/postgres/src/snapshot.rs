//! Snapshots in the table `snapshot`.

use bytes::Bytes;
use factum_core::error::StoreError;
use factum_core::position::{Position, Version};
use factum_core::snapshot::Snapshot;
use factum_core::stream_id::StreamId;
use sqlx::Row as _;
use sqlx::postgres::PgPool;

use crate::error::{BackendError, store_error};

pub async fn save(pool: &PgPool, snapshot: &Snapshot) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/save_snapshot.sql"))
        .bind(snapshot.stream.as_str())
        .bind(snapshot.version.get() as i64)
        .bind(snapshot.position.get() as i64)
        .bind(i64::from(snapshot.schema_version))
        .bind(&*snapshot.data)
        .execute(pool)
        .await
        .map_err(store_error)?;
    Ok(())
}

pub async fn load(pool: &PgPool, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
    let sql = "select version, position, schema_version, data from snapshot where stream = $1";
    let row = sqlx::query(sql)
        .bind(stream.as_str())
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
    let Some(row) = row else { return Ok(None) };
    let decode = || {
        Ok::<_, sqlx::Error>(Snapshot {
            stream: stream.clone(),
            version: Version::new(row.try_get::<i64, _>(0)? as u64),
            position: Position::new(row.try_get::<i64, _>(1)? as u64),
            schema_version: row.try_get::<i64, _>(2)? as u32,
            data: Bytes::from(row.try_get::<Vec<u8>, _>(3)?),
        })
    };
    let snapshot = decode()
        .map_err(|error| BackendError::corrupt(format!("snapshot of {stream}: {error}")))?;
    Ok(Some(snapshot))
}

pub async fn clear(pool: &PgPool) -> Result<(), StoreError> {
    let cleared = sqlx::query("delete from snapshot").execute(pool).await;
    cleared.map(drop).map_err(store_error)
}
