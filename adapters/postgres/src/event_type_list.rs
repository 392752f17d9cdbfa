//! Lists of event types.

use factum_core::error::StoreError;
use factum_core::event_type_list::{EventTypeIndex, EventTypeList, EventTypeSummary};
use factum_core::position::Position;
use sqlx::postgres::PgPool;

use crate::error::store_error;

/// Returns the event types that `list` selects, after it added those of new events to `index`.
pub async fn list(
    pool: &PgPool,
    index: &EventTypeIndex,
    list: &EventTypeList,
) -> Result<Vec<EventTypeSummary>, StoreError> {
    let head = sqlx::query_scalar::<_, i64>("select position from head");
    let head = head.fetch_one(pool).await.map_err(store_error)?;
    let after = index.after(Position::new(head as u64)).get();
    let found = sqlx::query_as::<_, (String, i64)>(include_str!("sql/new_event_types.sql"))
        .bind(after as i64)
        .bind(head)
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
    let found = found.into_iter();
    let found = found.map(|(name, position)| (name, Position::new(position as u64)));
    index.add(found, Position::new(head as u64));
    Ok(index.page(list))
}
