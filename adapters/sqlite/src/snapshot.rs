//! Snapshots in a table.

use async_trait::async_trait;
use bytes::Bytes;
use factum::{Position, Snapshot, SnapshotStore, StoreError, StreamId, Version};
use sqlx::Row as _;

use crate::SqliteStore;
use crate::error::{Fault, store_error};

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let save = sqlx::query(include_str!("sql/save_snapshot.sql"))
            .bind(snapshot.stream.as_str())
            .bind(snapshot.version.get() as i64)
            .bind(snapshot.position.get() as i64)
            .bind(i64::from(snapshot.schema_version))
            .bind(&*snapshot.data);
        let mut turn = self.turn().take().await;
        let connection = turn.as_mut().ok_or(StoreError::Closed)?;
        let sqlite = connection.idle().await?;
        save.execute(sqlite).await.map_err(store_error)?;
        Ok(())
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let row = sqlx::query(include_str!("sql/load_snapshot.sql"))
            .bind(stream.as_str())
            .fetch_optional(self.pool())
            .await
            .map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        let place = |column| {
            let place: i64 = row.try_get(column)?;
            u64::try_from(place).map_err(|error| sqlx::Error::Decode(error.into()))
        };
        let read = || {
            Ok::<_, sqlx::Error>(Snapshot {
                stream: stream.clone(),
                version: Version::new(place(0)?),
                position: Position::new(place(1)?),
                schema_version: row.try_get(2)?,
                data: Bytes::copy_from_slice(row.try_get(3)?),
            })
        };
        read()
            .map(Some)
            .map_err(|error| Fault::corrupt(format!("snapshot of {stream}: {error}")).into())
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        let mut turn = self.turn().take().await;
        let connection = turn.as_mut().ok_or(StoreError::Closed)?;
        let sqlite = connection.idle().await?;
        let sql = "delete from factum_snapshot";
        sqlx::query(sql)
            .execute(sqlite)
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
