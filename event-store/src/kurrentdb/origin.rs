//! The first event of the log as clients of this protocol see it.

use factum::Timestamp;
use factum::store::{Assigned, Position, RecordedEvent, Version};
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
    let mut event = system_event(METADATA_EVENT, &json!({}));
    event.id = Uuid::nil();
    let stream = STREAM
        .parse()
        .unwrap_or_else(|_| unreachable!("the name is valid"));
    let assigned = Assigned {
        position: Position::ZERO,
        version: Version::new(1),
        recorded_at: Timestamp::from_micros(0),
    };
    RecordedEvent::new(event, stream, assigned)
}
