//! The first event of the log as clients of this protocol see it.

use factum::Timestamp;
use factum::store::{Position, RecordedEvent, Version};
use serde_json::json;
use uuid::Uuid;

use super::event::system_event;
use super::metadata::METADATA_EVENT;

/// The metadata stream of the log of all streams.
const STREAM: &str = "$$$all";

/// Returns the first event of the log.
///
/// The log of KurrentDB is never empty: it begins with events of the server. Clients rely on this. The event is at position 0,
/// before the first event of the store, and is not stored.
#[must_use]
pub fn event() -> RecordedEvent {
    let event = system_event(METADATA_EVENT, &json!({}));
    RecordedEvent {
        position: Position::ZERO,
        stream: STREAM
            .parse()
            .unwrap_or_else(|_| unreachable!("the name is valid")),
        version: Version::new(1),
        id: Uuid::nil(),
        name: event.name,
        schema_version: event.schema_version,
        content_type: event.content_type,
        data: event.data,
        tags: event.tags,
        metadata: event.metadata,
        recorded_at: Timestamp::from_micros(0),
    }
}
