//! Lists of streams.

use factum_core::position::{Position, Version};
use factum_core::stream_list::{StreamList, StreamSummary};
use rusqlite::Connection;

use crate::error::BackendError;

/// Returns the streams that `list` selects.
pub fn list(db: &Connection, list: &StreamList) -> Result<Vec<StreamSummary>, BackendError> {
    let (prefix, end) = list.range();
    let after = list.after.as_ref().map_or("", |stream| stream.as_str());
    let limit = i64::try_from(list.limit).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(include_str!("sql/list_streams.sql"))?;
    let mut rows = statement.query((prefix, end, after, limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        found.push(StreamSummary {
            stream: id.parse().map_err(BackendError::corrupt)?,
            version: Version::new(row.get(1)?),
            position: Position::new(row.get(2)?),
        });
    }
    Ok(found)
}
