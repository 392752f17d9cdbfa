//! [`stored`], which builds an event as older code stored it.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::record::{Assigned, ContentType, NewEvent, RecordedEvent};

/// Builds a stored event of type `name` with the JSON fields `data` and the schema version `version`.
///
/// Decode it with [`decode`](factum_engine::record::DecodeEvent::decode) to test an upcaster or a legacy event. The
/// event has no tags and no metadata; its stream, position and time are placeholders. For an upcaster that reads them,
/// set the public fields of the result.
///
/// ```
/// use factum::prelude::*;
/// use factum_testkit::stored;
/// use factum::event::UpcastError;
/// use serde_json::{Value, json};
///
/// #[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
/// #[event(prefix = "account")]
/// enum AccountEvent {
///     #[event(version = 2, upcast = with_cents)]
///     Deposited { cents: u64 },
/// }
///
/// fn with_cents(old: Value) -> Result<Value, UpcastError> {
///     let euros = old["euros"].as_u64().ok_or("no euros")?;
///     Ok(json!({ "cents": euros * 100 }))
/// }
///
/// let old = stored("account.deposited", 1, &json!({ "euros": 7 }));
/// assert_eq!(old.decode::<AccountEvent>()?, AccountEvent::Deposited { cents: 700 });
/// # Ok::<(), factum::event::DecodeError>(())
/// ```
#[must_use]
pub fn stored(name: &str, version: u32, data: &Value) -> RecordedEvent {
    let event = NewEvent {
        id: Uuid::nil(),
        name: name.to_owned().into(),
        schema_version: version,
        content_type: ContentType::Json,
        data: data.to_string().into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    let stream = StreamId::new("given", "events").unwrap_or_else(|error| panic!("{error}"));
    let assigned = Assigned {
        position: Position::new(1),
        version: Version::new(1),
        recorded_at: Timestamp::from_micros(0),
    };
    RecordedEvent::new(event, stream, assigned)
}
