//! The rules of a schema lock for event types and versions.

#![allow(
    clippy::wildcard_imports,
    reason = "the macro `events` uses the imports of this file"
)]

#[path = "support/lock.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use factum::Event;
use factum::schema::{Incompatibility, LockError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use support::{compare, compatible, events, lock, locked, made, plain, up};

#[test]
fn removed_event_type_breaks_until_retired() {
    events!(old: #[event(prefix = "e")] pub(super) enum E { Made, Ended { why: String } });
    events!(new: #[event(prefix = "e")] pub(super) enum E { Made });
    let ended = old::E::Ended { why: "age".into() };
    let found = compare::<_, new::E>(&ended).unwrap_err();
    assert_eq!(
        found,
        [Incompatibility::Removed {
            event: "e.ended".into(),
            renamed_to: None
        }]
    );
    let text = lock::<new::E>()
        .retired("e.ended")
        .compare(&locked::<old::E>())
        .unwrap();
    assert!(
        text.contains(r#""retired": ["#) && text.contains(r#""why": "string""#),
        "{text}"
    );
    let both = lock::<old::E>()
        .retired("e.ended")
        .compare(&text)
        .unwrap_err()
        .to_string();
    assert!(
        both.contains("e.ended is declared as retired, but is in the code"),
        "{both}"
    );
}

#[test]
fn reused_retired_event_type_keeps_its_schema() {
    events!(old: #[event(prefix = "e")] pub(super) enum E { Made, Ended { why: String } });
    events!(new: #[event(prefix = "e")] pub(super) enum E { Made });
    events!(back: #[event(prefix = "e")] pub(super) enum E { Made, Ended { why: u8 } });
    let text = lock::<new::E>()
        .retired("e.ended")
        .compare(&locked::<old::E>())
        .unwrap();
    let error = lock::<back::E>().compare(&text).unwrap_err().to_string();
    assert!(
        error.contains("`why` is stored as string, but read as uint8"),
        "{error}"
    );
}

#[test]
fn renamed_event_type_breaks_and_new_name_is_found() {
    events!(new: #[event(prefix = "e")] pub(super) enum E { Created { name: String, count: u32 } });
    let found = compare::<_, new::E>(&made()).unwrap_err();
    let renamed_to = Some("e.created".into());
    assert_eq!(
        found,
        [Incompatibility::Removed {
            event: "e.made".into(),
            renamed_to
        }]
    );
}

#[test]
fn raised_version_with_upcaster_may_have_any_schema() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        #[event(version = 2, upcast = up)]
        Made { title: u8 }
    });
    let text = compatible::<_, new::E>(&made());
    assert!(
        text.contains(r#""1": {"#) && text.contains(r#""2": {"#),
        "{text}"
    );
    let lowered = lock::<plain::E>().compare(&text).unwrap_err();
    let LockError::Incompatible(found) = lowered else {
        panic!("{lowered}")
    };
    let event = "e.made".to_owned();
    assert_eq!(
        found,
        [Incompatibility::VersionLowered {
            event,
            locked: 2,
            version: 1
        }]
    );
}

/// The derive prevents this; a manual implementation does not.
#[test]
fn raised_version_needs_upcaster_for_each_step() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Manual;
    impl Event for Manual {
        const TYPES: &'static [factum::event::EventType] = &[factum::event::EventType {
            name: "e.made",
            variant: "Manual",
            version: 3,
            upcasters: &[|json, _| up(json)],
            tags: &[],
            personal: &[],
            aliases: &[],
        }];
        fn type_index(&self) -> usize {
            0
        }
        fn tags(&self) -> Result<Vec<factum::store::Tag>, factum::store::InvalidTag> {
            Ok(Vec::new())
        }
        fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
            serde_json::to_vec(self)
        }
        fn from_json(_: usize, json: &[u8]) -> Result<Self, serde_json::Error> {
            serde_json::from_slice(json)
        }
    }
    let error = lock::<Manual>().compare(&locked::<plain::E>()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the types are not compatible with stored events:\n\n- e.made version 3 has 1 upcaster; it needs 2, one for each step \
         from version 1"
    );
}

#[test]
#[should_panic(expected = "two events have the event type \"e.made\": ")]
fn two_types_with_one_event_type_are_rejected() {
    events!(other: #[event(prefix = "e")] pub(super) enum Other { Made });
    let _ = lock::<plain::E>()
        .event::<plain::E>()
        .event::<other::Other>();
}
