//! Snapshots in a table.

use async_trait::async_trait;
use bytes::Bytes;
use factum::{Position, Snapshot, SnapshotStore, StoreError, StreamId, Version};
use rusqlite::{Connection, OptionalExtension as _, Row};
use sqlx::Sqlite;
use sqlx::sqlite::SqliteArguments;

use crate::SqliteStore;
use crate::error::Fault;
use crate::readers::Length;

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let save = sqlx::query(include_str!("sql/save_snapshot.sql"))
            .bind(snapshot.stream.as_str())
            .bind(snapshot.version.get() as i64)
            .bind(snapshot.position.get() as i64)
            .bind(i64::from(snapshot.schema_version))
            .bind(&*snapshot.data);
        self.execute(save).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let stream = stream.clone();
        let load = move |connection: &_| load(connection, &stream);
        Ok(self.readers().run(Length::Short, load).await?)
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        let clear = "delete from factum_snapshot";
        self.execute(sqlx::query(clear)).await
    }
}

impl SqliteStore {
    async fn execute(
        &self,
        statement: sqlx::query::Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<(), StoreError> {
        let mut turn = self.turn().take().await;
        let writing = turn.as_mut().ok_or(StoreError::Closed)?;
        let executed = async {
            let pair = writing.pair().await?;
            statement.execute(pair.sqlx()?).await?;
            Ok(())
        };
        let executed: Result<(), Fault> = executed.await;
        if let Err(fault) = &executed {
            writing.end_after_failure(fault).await;
        }
        Ok(executed?)
    }
}

fn load(connection: &Connection, stream: &StreamId) -> Result<Option<Snapshot>, Fault> {
    let mut statement = connection.prepare_cached(include_str!("sql/load_snapshot.sql"))?;
    let snapshot = |row: &Row<'_>| {
        Ok(Snapshot {
            stream: stream.clone(),
            version: Version::new(row.get(0)?),
            position: Position::new(row.get(1)?),
            schema_version: row.get(2)?,
            data: Bytes::copy_from_slice(row.get_ref(3)?.as_bytes()?),
        })
    };
    let loaded = statement.query_row([stream.as_str()], snapshot).optional();
    loaded.map_err(|error| match error.into() {
        Fault::Corrupt(what) => Fault::corrupt(format!("snapshot of {stream}: {what}")),
        other => other,
    })
}
