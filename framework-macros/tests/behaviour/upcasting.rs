//! Upcasters from older schema versions.

use std::sync::Arc;

use factum::event::UpcastError;
use factum::event::{DecodeErrorKind, EventType};
use factum::prelude::*;
use factum::store::Assigned;
use factum::store::{ContentType, NewEvent, RecordedEvent};
use factum::{Position, StreamId};
use factum::{Timestamp, Version};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Closed,
    #[event(version = 3, upcast = [split_name, steps::add_country])]
    Opened {
        first: String,
        last: String,
        country: String,
    },
}

fn split_name(mut old: Value) -> Result<Value, UpcastError> {
    let Value::String(name) = old["name"].take() else {
        return Err("no name".into());
    };
    let (first, last) = name.split_once(' ').ok_or("one word")?;
    Ok(json!({ "first": first, "last": last }))
}

mod steps {
    use super::{UpcastError, Value};

    pub(super) fn add_country(mut old: Value) -> Result<Value, UpcastError> {
        old["country"] = "CH".into();
        Ok(old)
    }
}

fn opened() -> AccountEvent {
    let text = str::to_owned;
    AccountEvent::Opened {
        first: text("Ada"),
        last: text("Byron"),
        country: text("CH"),
    }
}

/// Returns a record of `account.opened` with this schema version and data.
fn stored(version: u32, json: &Value) -> RecordedEvent {
    let event = NewEvent {
        id: Uuid::nil(),
        name: "account.opened".into(),
        schema_version: version,
        content_type: ContentType::Json,
        data: json.to_string().into_bytes().into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    };
    let stream = StreamId::new("account", 42).unwrap();
    let assigned = Assigned {
        position: Position::new(5),
        version: Version::new(1),
        recorded_at: Timestamp::from_micros(0),
    };
    RecordedEvent::new(event, stream, assigned)
}

fn decode_error(record: &RecordedEvent) -> DecodeErrorKind {
    record.decode::<AccountEvent>().unwrap_err().kind
}

#[test]
fn event_type_contains_version_and_upcasters() {
    let EventType {
        version, upcasters, ..
    } = AccountEvent::TYPES[1];
    assert_eq!((version, upcasters.len()), (3, 2));
    let EventType {
        version, upcasters, ..
    } = AccountEvent::TYPES[0];
    assert_eq!((version, upcasters.len()), (1, 0));
}

#[test]
fn old_schema_versions_are_upcast_step_by_step() {
    let versions = [
        json!({ "name": "Ada Byron" }),
        json!({ "first": "Ada", "last": "Byron" }),
        json!({ "first": "Ada", "last": "Byron", "country": "CH" }),
    ];
    for (version, json) in (1..).zip(&versions) {
        assert_eq!(
            stored(version, json).decode::<AccountEvent>().unwrap(),
            opened()
        );
    }
}

#[test]
fn upcast_error_contains_reason() {
    let DecodeErrorKind::Upcast(error) = decode_error(&stored(1, &json!({ "name": "Ada" }))) else {
        panic!("another error");
    };
    assert_eq!(error.to_string(), "from version 1 to 2: one word");
}

#[test]
fn newer_schema_version_is_rejected() {
    let error = decode_error(&stored(4, &json!({})));
    assert!(
        matches!(
            error,
            DecodeErrorKind::NewerVersion {
                stored: 4,
                known: 3
            }
        ),
        "{error}"
    );
}
