//! The way up from older stored forms.

use std::sync::Arc;

use factum::prelude::*;
use factum::record::Place;
use factum::{
    ContentType, DecodeErrorKind, EventType, NewEvent, Position, RecordedEvent, StreamId,
};
use factum::{Timestamp, UpcastError, Version};
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

/// A record of `account.opened` in this version and form.
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
    let place = Place {
        position: Position::new(5),
        version: Version::new(1),
        recorded_at: Timestamp::from_micros(0),
    };
    RecordedEvent::new(event, stream, place)
}

fn fault(record: &RecordedEvent) -> DecodeErrorKind {
    record.decode::<AccountEvent>().unwrap_err().kind
}

#[test]
fn the_kind_names_its_version_and_each_step_up() {
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
fn an_old_form_comes_up_through_every_step() {
    let forms = [
        json!({ "name": "Ada Byron" }),
        json!({ "first": "Ada", "last": "Byron" }),
        json!({ "first": "Ada", "last": "Byron", "country": "CH" }),
    ];
    for (version, form) in (1..).zip(&forms) {
        assert_eq!(
            stored(version, form).decode::<AccountEvent>().unwrap(),
            opened()
        );
    }
}

#[test]
fn a_step_that_rejects_is_told_with_its_reason() {
    let DecodeErrorKind::Upcast(error) = fault(&stored(1, &json!({ "name": "Ada" }))) else {
        panic!("another fault");
    };
    assert_eq!(error.to_string(), "from version 1 to 2: one word");
}

#[test]
fn a_version_that_this_code_does_not_know_is_rejected() {
    let fault = fault(&stored(4, &json!({})));
    assert!(
        matches!(
            fault,
            DecodeErrorKind::NewerVersion {
                stored: 4,
                known: 3
            }
        ),
        "{fault}"
    );
}
