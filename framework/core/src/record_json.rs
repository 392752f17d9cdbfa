//! Serializes recorded events, for inspection and export.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use serde_json::value::RawValue;

use crate::record::{ContentType, RecordedEvent};

/// Serializes the event with all its parts, `data` as JSON.
///
/// Data of another content type is in `bytes` instead. The form is meant for JSON and for readers; a program that
/// copies events uses the values themselves.
impl Serialize for RecordedEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("RecordedEvent", 11)?;
        event.serialize_field("position", &self.position)?;
        event.serialize_field("stream", &self.stream)?;
        event.serialize_field("version", &self.version)?;
        event.serialize_field("id", &self.id)?;
        event.serialize_field("name", &self.name)?;
        event.serialize_field("schema_version", &self.schema_version)?;
        event.serialize_field("content_type", self.content_type.as_str())?;
        match json(self) {
            Some(json) => event.serialize_field("data", &json)?,
            None => event.serialize_field("bytes", &self.data[..])?,
        }
        event.serialize_field("tags", &self.tags)?;
        event.serialize_field("metadata", &*self.metadata)?;
        event.serialize_field("recorded_at", &self.recorded_at)?;
        event.end()
    }
}

/// Returns the data without a change of its numbers, or `None` if it is not JSON.
fn json(event: &RecordedEvent) -> Option<Box<RawValue>> {
    let text = match event.content_type {
        ContentType::Json => String::from_utf8(event.data.to_vec()).ok()?,
        ContentType::Other(_) => return None,
    };
    RawValue::from_string(text).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use uuid::Uuid;

    use crate::metadata::Metadata;
    use crate::position::{Position, Version};
    use crate::record::{Assigned, ContentType, NewEvent, RecordedEvent};
    use crate::tag::Tag;
    use crate::timestamp::Timestamp;

    fn event(content_type: ContentType, data: &'static [u8]) -> RecordedEvent {
        let metadata = Metadata {
            actor: Some("ada".to_owned()),
            ..Metadata::default()
        };
        let event = NewEvent {
            id: Uuid::from_u128(7),
            name: "account.opened".into(),
            schema_version: 2,
            content_type,
            data: data.into(),
            tags: vec![Tag::new("owner", "ada").expect("a tag")],
            metadata: Arc::new(metadata),
            personal: Vec::new(),
        };
        let assigned = Assigned {
            position: Position::new(3),
            version: Version::new(1),
            recorded_at: Timestamp::from_micros(0),
        };
        RecordedEvent::new(event, "account-1".parse().expect("a stream"), assigned)
    }

    #[test]
    fn recorded_event_serializes_with_its_json() {
        let recorded = event(
            ContentType::Json,
            br#"{"big":123456789012345678901234567890}"#,
        );
        let text = serde_json::to_string(&recorded).expect("JSON");
        assert_eq!(
            text,
            concat!(
                r#"{"position":3,"stream":"account-1","version":1,"#,
                r#""id":"00000000-0000-0000-0000-000000000007","name":"account.opened","schema_version":2,"#,
                r#""content_type":"application/json","data":{"big":123456789012345678901234567890},"#,
                r#""tags":["owner:ada"],"metadata":{"actor":"ada"},"recorded_at":"1970-01-01T00:00:00Z"}"#,
            )
        );
    }

    #[test]
    fn other_content_serializes_as_bytes() {
        for (content_type, data) in [
            ("application/cbor", &b"\x01\x02"[..]),
            ("application/json", b"{"),
        ] {
            let recorded = event(content_type.into(), data);
            let value = serde_json::to_value(&recorded).expect("JSON");
            assert_eq!(value["bytes"], json!(data));
            assert_eq!(value.get("data"), None);
        }
    }
}
