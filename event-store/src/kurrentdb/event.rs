//! The conversion of events between the messages of clients and the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use factum::store::{ContentType, Metadata, NewEvent, RecordedEvent, StreamId, new_event_id};
use factum_compatible_protocols::kurrentdb::client;
use factum_compatible_protocols::kurrentdb::client::streams::read_resp::read_event;
use factum_compatible_protocols::kurrentdb::client::uuid::{Structured, Value as UuidValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::errors::Refused;

/// The entry of the metadata with the id that the client chose, if the event has another id in the store.
const CLIENT_ID: &str = "client.event-id";

/// The entry of the metadata with the content type that the client sent, if its data cannot be stored as JSON.
const CLIENT_CONTENT_TYPE: &str = "client.content-type";

/// The content type of data without another one.
const OCTETS: &str = "application/octet-stream";

/// The number of units of 100 nanoseconds in a microsecond.
const TICKS: i64 = 10;

/// The notation of UUIDs in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UuidNotation {
    /// Two numbers.
    Structured,
    /// Text.
    Text,
}

impl UuidNotation {
    /// Returns the message of an id.
    #[must_use]
    pub fn message(self, id: Uuid) -> client::Uuid {
        let value = match self {
            Self::Structured => {
                let (high, low) = id.as_u64_pair();
                UuidValue::Structured(Structured {
                    most_significant_bits: high as i64,
                    least_significant_bits: low as i64,
                })
            }
            Self::Text => UuidValue::String(id.to_string()),
        };
        client::Uuid { value: Some(value) }
    }
}

/// Returns the id of a message.
///
/// # Errors
/// Returns [`Refused::Invalid`] if it is missing or not a UUID.
pub fn id(message: Option<&client::Uuid>) -> Result<Uuid, Refused> {
    match message.and_then(|id| id.value.as_ref()) {
        Some(UuidValue::Structured(bits)) => Ok(Uuid::from_u64_pair(
            bits.most_significant_bits as u64,
            bits.least_significant_bits as u64,
        )),
        Some(UuidValue::String(text)) => Uuid::parse_str(text)
            .map_err(|error| Refused::Invalid(format!("invalid id {text:?}: {error}"))),
        None => Err(Refused::Invalid("missing id; expected a UUID".to_owned())),
    }
}

/// Returns the stream of a message.
///
/// # Errors
/// Returns [`Refused::Invalid`] if it is missing, not UTF-8, or not valid.
pub fn stream(message: Option<client::StreamIdentifier>) -> Result<StreamId, Refused> {
    let name = message.map(|message| message.stream_name);
    let name = name.unwrap_or_default();
    let name = std::str::from_utf8(&name)
        .map_err(|error| Refused::Invalid(format!("invalid stream name: {error}")))?;
    stream_named(name)
}

/// Returns the stream with this name.
///
/// # Errors
/// Returns [`Refused::Invalid`] if the name is not valid.
pub fn stream_named(name: &str) -> Result<StreamId, Refused> {
    name.parse()
        .map_err(|error: factum::store::InvalidStreamId| Refused::Invalid(error.to_string()))
}

/// Returns the message of a stream.
#[must_use]
pub fn stream_message(stream: &StreamId) -> client::StreamIdentifier {
    client::StreamIdentifier {
        stream_name: Bytes::copy_from_slice(stream.as_str().as_bytes()),
    }
}

/// The parts of an event that a client proposes, in the messages of each request.
pub struct Proposal {
    /// The id; `None` if the client sent none.
    pub id: Option<client::Uuid>,
    /// The type and the content type.
    pub metadata: HashMap<String, String>,
    /// The metadata of the client.
    pub custom_metadata: Bytes,
    /// The data.
    pub data: Bytes,
}

impl Proposal {
    /// Converts the proposal.
    ///
    /// # Errors
    /// Returns [`Refused`] if the id, the type or the content type is missing or not valid.
    pub fn into_event(mut self) -> Result<NewEvent, Refused> {
        let id = id(self.id.as_ref())?;
        let name = self.metadata.remove("type");
        let name = name.ok_or(Refused::MissingProperty("type"))?;
        let content_type = self.metadata.remove("content-type");
        let content_type = content_type.ok_or(Refused::MissingProperty("content-type"))?;
        Ok(new_event(
            id,
            name,
            &content_type,
            self.data,
            self.custom_metadata,
        ))
    }
}

/// Creates an event with the metadata of a client.
#[must_use]
pub fn new_event(
    id: Uuid,
    name: String,
    content_type: &str,
    data: Bytes,
    custom_metadata: Bytes,
) -> NewEvent {
    let mut metadata = correlation(&custom_metadata);
    metadata.foreign = custom_metadata;
    let content_type = match content_type {
        "" => OCTETS,
        other => other,
    };
    let mut event = NewEvent {
        id,
        name: name.into(),
        schema_version: 1,
        content_type: content_type.into(),
        data,
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    };
    // Clients of this protocol may name any bytes JSON.
    if event.content_type == ContentType::Json && event.check_fields().is_err() {
        event.content_type = OCTETS.into();
        let entry = Value::from(content_type);
        metadata.extra.insert(CLIENT_CONTENT_TYPE.to_owned(), entry);
    }
    event.metadata = Arc::new(metadata);
    event
}

/// Creates an event of the server itself, whose data is `data`.
#[must_use]
pub fn system_event(name: &'static str, data: &Value) -> NewEvent {
    let data = Bytes::from(data.to_string());
    new_event(
        new_event_id(),
        name.to_owned(),
        "application/json",
        data,
        Bytes::new(),
    )
}

/// Returns the correlation of an event from the two fields that clients of this protocol use.
fn correlation(custom_metadata: &[u8]) -> Metadata {
    let mut metadata = Metadata::default();
    if custom_metadata.first() != Some(&b'{') {
        return metadata;
    }
    let fields: BTreeMap<String, Value> =
        serde_json::from_slice(custom_metadata).unwrap_or_default();
    let id = |name| Uuid::parse_str(fields.get(name)?.as_str()?).ok();
    metadata.correlation_id = id("$correlationId");
    metadata.causation_id = id("$causationId");
    metadata
}

/// Gives an event another id in the store; clients of this protocol still see the id that they chose.
pub fn rename(event: &mut NewEvent, id: Uuid) {
    let metadata = Arc::make_mut(&mut event.metadata);
    let entry = Value::from(event.id.to_string());
    metadata.extra.entry(CLIENT_ID.to_owned()).or_insert(entry);
    event.id = id;
}

/// Returns the id that the client chose.
#[must_use]
pub fn client_id(event: &RecordedEvent) -> Uuid {
    let chosen = event.metadata.extra.get(CLIENT_ID);
    let chosen = chosen.and_then(Value::as_str);
    chosen
        .and_then(|id| Uuid::parse_str(id).ok())
        .unwrap_or(event.id)
}

/// Returns the revision of a stored event.
#[must_use]
pub fn revision(event: &RecordedEvent) -> u64 {
    event.version.get().saturating_sub(1)
}

/// Returns the message of a stored event.
#[must_use]
pub fn recorded(event: &RecordedEvent, notation: UuidNotation) -> read_event::RecordedEvent {
    let content_type = event.metadata.extra.get(CLIENT_CONTENT_TYPE);
    let content_type = content_type
        .and_then(Value::as_str)
        .unwrap_or(event.content_type.as_str());
    let created = event.recorded_at.as_micros().saturating_mul(TICKS);
    let metadata = [
        ("type", event.name.to_string()),
        ("content-type", content_type.to_owned()),
        ("created", created.to_string()),
    ];
    let position = event.position.get();
    read_event::RecordedEvent {
        id: Some(notation.message(client_id(event))),
        stream_identifier: Some(stream_message(&event.stream)),
        stream_revision: revision(event),
        prepare_position: position,
        commit_position: position,
        metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
        custom_metadata: custom_metadata(&event.metadata),
        data: event.data.clone(),
    }
}

/// Returns the metadata as the client sent it, or those of another origin as JSON.
fn custom_metadata(metadata: &Metadata) -> Bytes {
    let entries = [CLIENT_ID, CLIENT_CONTENT_TYPE];
    if !metadata.foreign.is_empty() {
        return metadata.foreign.clone();
    }
    if !entries
        .iter()
        .any(|entry| metadata.extra.contains_key(*entry))
    {
        return metadata.to_foreign();
    }
    let mut metadata = metadata.clone();
    metadata
        .extra
        .retain(|entry, _| !entries.contains(&&**entry));
    metadata.to_foreign()
}

/// Returns the metadata of a link to `event`.
#[must_use]
pub fn link_metadata(event: &RecordedEvent) -> Bytes {
    let metadata = json!({
        "$o": event.stream.as_str(),
        "$causedBy": client_id(event).to_string(),
    });
    metadata.to_string().into()
}

#[cfg(test)]
mod tests {
    use factum::Timestamp;
    use factum::store::{Assigned, Position, Version};

    use super::*;

    fn stored(event: NewEvent) -> RecordedEvent {
        let assigned = Assigned {
            position: Position::new(9),
            version: Version::new(3),
            recorded_at: Timestamp::from_micros(5),
        };
        RecordedEvent::new(event, "hive-1".parse().unwrap(), assigned)
    }

    fn proposed(data: &'static [u8], custom_metadata: &'static [u8]) -> NewEvent {
        let data = Bytes::from_static(data);
        let custom_metadata = Bytes::from_static(custom_metadata);
        let id = Uuid::from_u128(7);
        new_event(
            id,
            "weighed".to_owned(),
            "application/json",
            data,
            custom_metadata,
        )
    }

    #[test]
    fn bytes_and_content_type_return_as_they_were_sent() {
        for data in [&b"{}"[..], b"\xff\x00", b"not json", b""] {
            let event = proposed(data, b"\xfe{");
            event.check_fields().unwrap();
            let message = recorded(&stored(event), UuidNotation::Text);
            assert_eq!(message.data, data);
            assert_eq!(message.custom_metadata, &b"\xfe{"[..]);
            assert_eq!(message.metadata["content-type"], "application/json");
            assert_eq!(message.metadata["created"], "50");
            assert_eq!((message.stream_revision, message.commit_position), (2, 9));
        }
    }

    #[test]
    fn renamed_event_keeps_the_id_of_the_client() {
        let mut event = proposed(b"{}", b"");
        rename(&mut event, Uuid::from_u128(8));
        rename(&mut event, Uuid::from_u128(9));
        let event = stored(event);
        assert_eq!(
            (event.id, client_id(&event)),
            (Uuid::from_u128(9), Uuid::from_u128(7))
        );
        assert_eq!(recorded(&event, UuidNotation::Text).custom_metadata, "");
    }

    #[test]
    fn correlation_of_the_client_is_that_of_the_event() {
        let custom =
            br#"{"$correlationId":"00000000-0000-0000-0000-000000000005","$causationId":"x"}"#;
        let event = proposed(b"{}", custom);
        assert_eq!(event.metadata.correlation_id, Some(Uuid::from_u128(5)));
        assert_eq!(event.metadata.causation_id, None);
        assert_eq!(
            recorded(&stored(event), UuidNotation::Text).custom_metadata,
            &custom[..]
        );
    }

    #[test]
    fn ids_have_two_notations() {
        let uuid = Uuid::from_u128(u128::MAX - 5);
        for notation in [UuidNotation::Structured, UuidNotation::Text] {
            assert_eq!(id(Some(&notation.message(uuid))).unwrap(), uuid);
        }
        assert!(id(None).is_err());
    }
}
