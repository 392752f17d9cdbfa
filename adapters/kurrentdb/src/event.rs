//! The conversion of events.
//!
//! The protocol has a type, a content type of two kinds, data, and metadata in bytes for an event. The other fields are in
//! the metadata, which are JSON; other clients can read them.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use factum_core::error::StoreError;
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::record::{ContentType, NewEvent, RecordedEvent};
use factum_core::tag::Tag;
use factum_core::timestamp::Timestamp;
use kurrentdb::EventData;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The content type of data that is not sent as JSON.
const OCTETS: &str = "application/octet-stream";

/// The number of units of 100 nanoseconds in a microsecond.
const TICKS: i64 = 10;

/// The metadata of an event as the server stores them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Envelope {
    /// The correlation id, where other clients of the protocol look for it.
    #[serde(
        rename = "$correlationId",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    correlation_id: Option<Uuid>,
    /// The causation id, where other clients of the protocol look for it.
    #[serde(
        rename = "$causationId",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    causation_id: Option<Uuid>,
    /// The other fields; `None` for an event of another client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factum: Option<Fields>,
}

/// The fields of an event that the protocol does not have.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    schema_version: u32,
    /// The content type, if the protocol does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
    metadata: Metadata,
}

/// Converts an event that will be appended.
pub fn to_client(event: NewEvent) -> Result<EventData, StoreError> {
    let json = match event.content_type {
        ContentType::Json => exact_json(&event),
        _ => None,
    };
    let sent_type = match json {
        Some(_) => ContentType::Json.as_str(),
        None => OCTETS,
    };
    let content_type = event.content_type.as_str();
    let fields = Fields {
        schema_version: event.schema_version,
        content_type: (content_type != sent_type).then(|| content_type.to_owned()),
        tags: event.tags,
        metadata: Metadata::clone(&event.metadata),
    };
    let metadata = encode_metadata(fields)?;
    let data = json.unwrap_or_else(|| EventData::binary(&event.name, event.data));
    Ok(data.id(event.id).metadata(metadata))
}

/// Returns the event with its JSON byte for byte, or `None` if the client would change the bytes.
fn exact_json(event: &NewEvent) -> Option<EventData> {
    let value: &RawValue = serde_json::from_slice(&event.data).ok()?;
    let is_exact = value.get().len() == event.data.len();
    is_exact
        .then(|| EventData::json(&event.name, &value).ok())
        .flatten()
}

fn encode_metadata(fields: Fields) -> Result<Bytes, StoreError> {
    let metadata = &fields.metadata;
    let of_other_client = fields_of_other_client(metadata.foreign.clone());
    if !metadata.foreign.is_empty() && fields == of_other_client {
        return Ok(fields.metadata.foreign);
    }
    let envelope = Envelope {
        correlation_id: metadata.correlation_id,
        causation_id: metadata.causation_id,
        factum: Some(fields),
    };
    let encoded = serde_json::to_vec(&envelope);
    let encoded = encoded.map_err(|error| StoreError::Failed(error.into()))?;
    Ok(encoded.into())
}

/// Returns the fields of an event that another client has stored with `custom_metadata`.
fn fields_of_other_client(custom_metadata: Bytes) -> Fields {
    let mut metadata = Metadata::default();
    // Other clients store any bytes, which are mostly JSON.
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(&custom_metadata) {
        metadata.correlation_id = envelope.correlation_id;
        metadata.causation_id = envelope.causation_id;
    }
    metadata.foreign = custom_metadata;
    Fields {
        schema_version: 1,
        content_type: None,
        tags: Vec::new(),
        metadata,
    }
}

/// Converts a stored event.
pub fn from_client(event: kurrentdb::RecordedEvent) -> Result<RecordedEvent, StoreError> {
    let position = event.position.commit;
    let corrupt =
        |text: String| StoreError::Corrupt(format!("event at position {position}: {text}"));
    let stream = event.stream_id().parse();
    let stream = stream
        .map_err(|error: factum_core::stream_id::InvalidStreamId| corrupt(error.to_string()))?;
    let fields = serde_json::from_slice::<Envelope>(&event.custom_metadata);
    let fields = fields.ok().and_then(|envelope| envelope.factum);
    let fields = fields.unwrap_or_else(|| fields_of_other_client(event.custom_metadata.clone()));
    let sent_type = event.metadata.get("content-type");
    let content_type = fields.content_type.as_deref();
    let content_type = content_type.or(sent_type.map(String::as_str));
    Ok(RecordedEvent {
        position: Position::new(position),
        stream,
        version: Version::new(event.revision.saturating_add(1)),
        id: event.id,
        recorded_at: recorded_at(&event),
        name: Cow::Owned(event.event_type),
        schema_version: fields.schema_version,
        content_type: content_type.unwrap_or(OCTETS).into(),
        data: event.data,
        tags: fields.tags,
        metadata: Arc::new(fields.metadata),
    })
}

/// Returns the time of an event.
///
/// The client rounds it down to a second, but keeps the text of the server.
pub fn recorded_at(event: &kurrentdb::RecordedEvent) -> Timestamp {
    let ticks = event.metadata.get("created");
    let ticks = ticks.and_then(|ticks| ticks.parse::<i64>().ok());
    let micros = ticks.map_or_else(|| event.created.timestamp_micros(), |ticks| ticks / TICKS);
    Timestamp::from_micros(micros)
}
