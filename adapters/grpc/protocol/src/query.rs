//! Queries.

use factum_core::query::{Query, QueryItem};

use crate::event::tags;
use crate::invalid::InvalidMessage;
use crate::v1;

/// Converts a query into a message.
#[must_use]
pub fn to_message(query: &Query) -> v1::Query {
    let items = query.items().iter().map(|item| v1::query::Item {
        category: item.category.clone(),
        stream_prefix: item.stream_prefix.clone(),
        event_types: item.event_types.clone(),
        tags: item.tags.iter().map(ToString::to_string).collect(),
    });
    v1::Query {
        items: items.collect(),
    }
}

/// Converts a message into a query. Without a message, the query matches every event.
///
/// # Errors
/// Returns [`InvalidMessage`] with the path of the first field that is not valid.
pub fn from_message(message: Option<v1::Query>) -> Result<Query, InvalidMessage> {
    let items = message.map(|message| message.items).unwrap_or_default();
    let mut query: Option<Query> = None;
    for (index, item) in items.into_iter().enumerate() {
        let tags = tags(item.tags).map_err(|error| error.within(format!("items[{index}]")))?;
        let item = Query::from(QueryItem {
            category: item.category,
            stream_prefix: item.stream_prefix,
            event_types: item.event_types,
            tags,
        });
        query = Some(match query {
            Some(query) => query.or(item),
            None => item,
        });
    }
    Ok(query.unwrap_or_default())
}
