//! Lists of event types.

use factum_core::event_type_list::{EventTypeIndex, EventTypeList, EventTypeSummary};
use factum_core::position::Position;
use rusqlite::Connection;

use crate::error::BackendError;

/// Returns the event types that `list` selects, after it added those of new events to `index`.
pub fn list(
    db: &Connection,
    index: &EventTypeIndex,
    list: &EventTypeList,
) -> Result<Vec<EventTypeSummary>, BackendError> {
    let mut end = db.prepare_cached("select coalesce(max(position), 0) from factum_event")?;
    let head = Position::new(end.query_row([], |row| row.get(0))?);
    let mut statement = db.prepare_cached(include_str!("sql/new_event_types.sql"))?;
    let mut rows = statement.query((index.after(head).get(), head.get()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, Position::new(row.get(1)?)));
    }
    index.add(found, head);
    Ok(index.page(list))
}
