//! Lists of streams.

use factum_core::position::{Position, Version};
use factum_core::stream_list::{StreamList, StreamSummary};
use rusqlite::Connection;

use crate::error::BackendError;

/// Returns the streams that `list` selects.
pub fn list(db: &Connection, list: &StreamList) -> Result<Vec<StreamSummary>, BackendError> {
    let after = list.after.as_ref().map_or("", |stream| stream.as_str());
    let mut statement = db.prepare_cached(include_str!("sql/list_streams.sql"))?;
    let mut found = Vec::new();
    for range in list.ranges() {
        let limit = i64::try_from(list.limit - found.len()).unwrap_or(i64::MAX);
        let mut rows = statement.query((range.from, range.until, after, limit))?;
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            found.push(StreamSummary {
                stream: id.parse().map_err(BackendError::corrupt)?,
                version: Version::new(row.get(1)?),
                position: Position::new(row.get(2)?),
            });
        }
    }
    Ok(found)
}
