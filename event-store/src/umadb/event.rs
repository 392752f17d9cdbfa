//! Events and their metadata.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use factum::store::{ContentType, Metadata, NewEvent, RecordedEvent, Tag, new_event_id};
use factum_compatible_protocols::umadb;
use factum_compatible_protocols::umadb::{MetadataEntry, TrackingInfo};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use tonic::Status;
use uuid::Uuid;

use super::error::invalid;
use super::streams::CATEGORY;

/// The content type of events without [`CONTENT_TYPE_ENTRY`].
const BYTES: &str = "application/octet-stream";

/// The key of the metadata entry that states the content type of the data.
const CONTENT_TYPE_ENTRY: &str = "content-type";

/// The key of [`Origin`] in the metadata of a stored event.
const ORIGIN: &str = "umadb";

/// The events of an append.
pub struct NewEvents {
    pub events: Vec<NewEvent>,
    /// The ids of the events, if the client chose all of them.
    pub ids: Option<Vec<Uuid>>,
}

/// The parts of an event that only this protocol has.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Origin {
    /// Set if the client has chosen no id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    without_id: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_position: Option<u64>,
}

/// Converts the events of an append, which was sent with `tracking`.
pub fn new_events(
    messages: Vec<umadb::Event>,
    tracking: Option<&TrackingInfo>,
) -> Result<NewEvents, Status> {
    let mut ids = Some(Vec::with_capacity(messages.len()));
    let mut events = Vec::with_capacity(messages.len());
    // Events without entries share their metadata.
    let mut shared: Option<(Origin, Arc<Metadata>)> = None;
    // Ids that follow each other are cheaper to store.
    let first_id = new_event_id().as_u128();
    for (index, message) in messages.into_iter().enumerate() {
        let id = id(index, &message.uuid)?;
        ids = ids.zip(id).map(|(mut ids, id)| {
            ids.push(id);
            ids
        });
        let origin = Origin {
            without_id: id.is_none(),
            source: tracking.map(|tracking| tracking.source.clone()),
            source_position: tracking.map(|tracking| tracking.position),
        };
        let content_type = content_type(&message.metadata);
        let metadata = match &shared {
            Some((of, metadata)) if message.metadata.is_empty() && *of == origin => {
                metadata.clone()
            }
            _ => {
                let metadata = Arc::new(metadata(index, &message.metadata, &origin)?);
                if message.metadata.is_empty() {
                    shared = Some((origin, metadata.clone()));
                }
                metadata
            }
        };
        events.push(NewEvent {
            id: id.unwrap_or_else(|| Uuid::from_u128(first_id + index as u128)),
            name: Cow::Owned(message.event_type),
            schema_version: 1,
            content_type,
            data: message.data,
            tags: tags(index, message.tags)?,
            metadata,
            personal: Vec::new(),
        });
    }
    Ok(NewEvents { events, ids })
}

fn id(index: usize, text: &str) -> Result<Option<Uuid>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let id = Uuid::parse_str(text);
    let field = format!("events[{index}].uuid");
    id.map(Some)
        .map_err(|_| invalid(&field, format!("expected a UUID, got {text:.80}")))
}

fn tags(index: usize, texts: Vec<String>) -> Result<Vec<Tag>, Status> {
    let tags = texts.into_iter().enumerate().map(|(tag, text)| {
        let field = format!("events[{index}].tags[{tag}]");
        Tag::try_from(text).map_err(|error| invalid(&field, error))
    });
    tags.collect()
}

fn content_type(entries: &[MetadataEntry]) -> ContentType {
    let mut entries = entries.iter();
    match entries.find(|entry| entry.key == CONTENT_TYPE_ENTRY) {
        Some(entry) => ContentType::from(&*entry.value),
        None => ContentType::Other(Cow::Borrowed(BYTES)),
    }
}

/// Returns the metadata of a new event: the entries as a JSON object, in their order, and the origin.
fn metadata(index: usize, entries: &[MetadataEntry], origin: &Origin) -> Result<Metadata, Status> {
    let mut metadata = Metadata::default();
    if *origin != Origin::default() {
        // Texts and numbers always have a JSON form.
        let value = serde_json::to_value(origin).unwrap_or_default();
        metadata.extra = BTreeMap::from([(ORIGIN.to_owned(), value)]);
    }
    if entries.is_empty() {
        return Ok(metadata);
    }
    let mut seen = HashSet::with_capacity(entries.len());
    if let Some(twice) = entries.iter().find(|entry| !seen.insert(&entry.key)) {
        let field = format!("events[{index}].metadata");
        return Err(invalid(
            &field,
            format!("the key {:.80} occurs twice", twice.key),
        ));
    }
    let json = serde_json::to_vec(&Entries(Cow::Borrowed(entries)));
    metadata.foreign = json.unwrap_or_default().into();
    Ok(metadata)
}

/// Converts a stored event.
pub fn to_message(event: &RecordedEvent) -> umadb::SequencedEvent {
    let origin = event.metadata.extra.get(ORIGIN);
    let origin = origin.and_then(|origin| Origin::deserialize(origin).ok());
    let mut metadata = entries(&event.metadata, origin.is_some());
    if event.stream.category() != CATEGORY {
        add_place(event, &mut metadata);
    }
    let origin = origin.unwrap_or_default();
    let uuid = match origin.without_id {
        true => String::new(),
        false => event.id.to_string(),
    };
    let tracking = origin.source.zip(origin.source_position);
    umadb::SequencedEvent {
        position: event.position.get(),
        event: Some(umadb::Event {
            event_type: event.name.to_string(),
            tags: event.tags.iter().map(ToString::to_string).collect(),
            data: event.data.clone(),
            uuid,
            metadata,
        }),
        tracking_info: tracking.map(|(source, position)| TrackingInfo { source, position }),
    }
}

/// Returns the members of the JSON object that clients of other protocols receive.
fn entries(metadata: &Metadata, has_origin: bool) -> Vec<MetadataEntry> {
    let json = match has_origin && metadata.foreign.is_empty() {
        true => {
            let mut others = metadata.clone();
            others.extra.remove(ORIGIN);
            others.to_foreign()
        }
        false => metadata.to_foreign(),
    };
    if json.is_empty() {
        return Vec::new();
    }
    match serde_json::from_slice::<Entries<'_>>(&json) {
        Ok(entries) => entries.0.into_owned(),
        Err(_) => vec![entry("$metadata", String::from_utf8_lossy(&json))],
    }
}

/// Adds the facts about an event of another protocol that this one does not have.
fn add_place(event: &RecordedEvent, entries: &mut Vec<MetadataEntry>) {
    entries.push(entry("$stream", event.stream.as_str()));
    entries.push(entry("$version", event.version.to_string()));
    entries.push(entry("$content-type", event.content_type.as_str()));
}

fn entry(key: &str, value: impl Into<String>) -> MetadataEntry {
    MetadataEntry {
        key: key.to_owned(),
        value: value.into(),
    }
}

/// Entries as a JSON object, in their order. A value that is not a text is read as its JSON.
struct Entries<'a>(Cow<'a, [MetadataEntry]>);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|entry| (&entry.key, &entry.value)))
    }
}

impl<'de> Deserialize<'de> for Entries<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = deserializer.deserialize_map(EntriesVisitor)?;
        Ok(Self(Cow::Owned(entries)))
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<MetadataEntry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            let value = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            entries.push(MetadataEntry { key, value });
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use factum::store::Assigned;
    use factum::{Position, Timestamp, Version};

    use super::*;

    fn recorded(event: NewEvent, stream: &str) -> RecordedEvent {
        let assigned = Assigned {
            position: Position::new(7),
            version: Version::new(3),
            recorded_at: Timestamp::from_micros(0),
        };
        RecordedEvent::new(event, stream.parse().expect("a stream id"), assigned)
    }

    fn stored(message: &umadb::Event, tracking: Option<&TrackingInfo>) -> umadb::SequencedEvent {
        let mut new = new_events(vec![message.clone()], tracking).expect("a valid event");
        let event = new.events.pop().expect("one event");
        to_message(&recorded(event, "umadb-1"))
    }

    fn event() -> umadb::Event {
        umadb::Event {
            event_type: "Weighed".to_owned(),
            tags: vec!["b".to_owned(), "a".to_owned(), "b".to_owned()],
            data: vec![0, 255].into(),
            uuid: String::new(),
            metadata: Vec::new(),
        }
    }

    #[test]
    fn event_is_read_as_it_was_sent() {
        let id = Uuid::from_u128(7).to_string();
        let entries = vec![
            entry("b", "\0"),
            entry("", "{\"a\": 1.0}"),
            entry("umadb", "é"),
        ];
        let tracking = TrackingInfo {
            source: "upstream".to_owned(),
            position: u64::MAX,
        };
        for uuid in [String::new(), id] {
            for metadata in [Vec::new(), entries.clone()] {
                for tracking in [None, Some(&tracking)] {
                    let message = umadb::Event {
                        uuid: uuid.clone(),
                        metadata: metadata.clone(),
                        ..event()
                    };
                    let expected = umadb::SequencedEvent {
                        position: 7,
                        event: Some(message.clone()),
                        tracking_info: tracking.cloned(),
                    };
                    assert_eq!(stored(&message, tracking), expected);
                }
            }
        }
    }

    #[test]
    fn ids_are_known_if_the_client_chose_all() {
        let with_id = |id| umadb::Event {
            uuid: Uuid::from_u128(id).to_string(),
            ..event()
        };
        let ids = |messages| new_events(messages, None).expect("valid events").ids;
        let expected = Some(vec![Uuid::from_u128(1), Uuid::from_u128(2)]);
        assert_eq!(ids(vec![with_id(1), with_id(2)]), expected);
        assert_eq!(ids(vec![with_id(1), event()]), None);
        let new = new_events(vec![event(), event()], None).expect("valid events");
        assert_ne!(new.events[0].id, new.events[1].id);
        assert!(Arc::ptr_eq(
            &new.events[0].metadata,
            &new.events[1].metadata
        ));
    }

    #[test]
    fn content_type_is_an_entry() {
        let mut message = event();
        let content_type = |message: &umadb::Event| {
            let new = new_events(vec![message.clone()], None).expect("a valid event");
            new.events[0].content_type.clone()
        };
        assert_eq!(content_type(&message).as_str(), BYTES);
        message.metadata = vec![entry(CONTENT_TYPE_ENTRY, "application/json")];
        assert_eq!(content_type(&message), ContentType::Json);
    }

    #[test]
    fn event_of_another_protocol_keeps_its_facts() {
        let mut metadata = Metadata::default();
        metadata.actor = Some("ada".to_owned());
        let new = |metadata| NewEvent {
            content_type: ContentType::Json,
            metadata: Arc::new(metadata),
            ..new_events(vec![event()], None)
                .expect("a valid event")
                .events
                .remove(0)
        };
        let place = [
            entry("$stream", "hive-1"),
            entry("$version", "3"),
            entry("$content-type", "application/json"),
        ];
        let read = |metadata| {
            let message = to_message(&recorded(new(metadata), "hive-1"));
            message.event.expect("an event")
        };
        let native = read(metadata.clone());
        assert!(!native.uuid.is_empty());
        assert_eq!(native.metadata[0], entry("actor", "ada"));
        assert_eq!(native.metadata[1..], place);
        metadata.foreign = br#"{"a":{"b":1},"c":"d"}"#[..].into();
        let foreign = read(metadata.clone());
        assert_eq!(
            foreign.metadata[..2],
            [entry("a", r#"{"b":1}"#), entry("c", "d")]
        );
        metadata.foreign = b"\xffa"[..].into();
        assert_eq!(read(metadata).metadata[0], entry("$metadata", "\u{fffd}a"));
    }

    #[test]
    fn invalid_events_name_their_field() {
        let message = |messages| {
            let refused = new_events(messages, None).err().expect("an error");
            refused.message().to_owned()
        };
        let uuid = umadb::Event {
            uuid: "7".to_owned(),
            ..event()
        };
        assert_eq!(
            message(vec![event(), uuid]),
            "invalid events[1].uuid: expected a UUID, got 7"
        );
        let tag = umadb::Event {
            tags: vec!["a".to_owned(), String::new()],
            ..event()
        };
        assert_eq!(
            message(vec![tag]),
            "invalid events[0].tags[1]: invalid tag \"\": expected at least one character"
        );
        let twice = umadb::Event {
            metadata: vec![entry("a", "1"), entry("a", "2")],
            ..event()
        };
        assert_eq!(
            message(vec![twice]),
            "invalid events[0].metadata: the key a occurs twice"
        );
    }
}
