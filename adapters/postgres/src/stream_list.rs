//! Lists of streams.

use factum_core::error::StoreError;
use factum_core::position::{Position, Version};
use factum_core::stream_list::{StreamList, StreamSummary};
use sqlx::Row as _;
use sqlx::postgres::{PgPool, PgRow};

use crate::error::{BackendError, store_error};

/// Returns the streams that `list` selects.
pub async fn list(pool: &PgPool, list: &StreamList) -> Result<Vec<StreamSummary>, StoreError> {
    let after = list.after.as_ref().map_or("", |stream| stream.as_str());
    let mut found = Vec::new();
    for range in list.ranges() {
        let limit = i64::try_from(list.limit - found.len()).unwrap_or(i64::MAX);
        let rows = sqlx::query(include_str!("sql/list_streams.sql"))
            .bind(range.from)
            .bind(range.until)
            .bind(after)
            .bind(limit)
            .fetch_all(pool)
            .await
            .map_err(store_error)?;
        for row in &rows {
            found.push(decode(row)?);
        }
    }
    Ok(found)
}

fn decode(row: &PgRow) -> Result<StreamSummary, BackendError> {
    let id: &str = row.try_get(0)?;
    Ok(StreamSummary {
        stream: id.parse().map_err(BackendError::corrupt)?,
        version: Version::new(row.try_get::<i64, _>(1)? as u64),
        position: Position::new(row.try_get::<i64, _>(2)? as u64),
    })
}
