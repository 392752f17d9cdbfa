//! Lists of streams.

use factum_core::error::StoreError;
use factum_core::position::{Position, Version};
use factum_core::stream_list::{StreamList, StreamSummary};
use sqlx::Row as _;
use sqlx::postgres::{PgPool, PgRow};

use crate::error::{BackendError, store_error};

/// Returns the streams that `list` selects.
pub async fn list(pool: &PgPool, list: &StreamList) -> Result<Vec<StreamSummary>, StoreError> {
    let (prefix, end) = list.range();
    let rows = sqlx::query(include_str!("sql/list_streams.sql"))
        .bind(prefix)
        .bind(end)
        .bind(list.after.as_ref().map_or("", |stream| stream.as_str()))
        .bind(i64::try_from(list.limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
    Ok(rows.iter().map(decode).collect::<Result<_, _>>()?)
}

fn decode(row: &PgRow) -> Result<StreamSummary, BackendError> {
    let id: &str = row.try_get(0)?;
    Ok(StreamSummary {
        stream: id.parse().map_err(BackendError::corrupt)?,
        version: Version::new(row.try_get::<i64, _>(1)? as u64),
        position: Position::new(row.try_get::<i64, _>(2)? as u64),
    })
}
