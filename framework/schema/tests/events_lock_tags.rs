//! The rules of a schema lock for the tags of events.

#![allow(
    clippy::wildcard_imports,
    reason = "the macro `events` uses the imports of this file"
)]

#[path = "support/lock.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use factum::Event;
use factum::schema::{EventsLock, Incompatibility, LockError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use support::{events, lock, locked};

events!(before: #[event(prefix = "e")] pub(super) enum E {
    Made { #[tag] room: u32, #[tag("guest")] by: u32, note: String },
    Ended { room: u32 },
});

fn verdicts(lock: &EventsLock) -> Vec<Incompatibility> {
    match lock.compare(&locked::<before::E>()) {
        Ok(_) => Vec::new(),
        Err(LockError::Incompatible(found)) => found,
        Err(other) => panic!("{other}"),
    }
}

fn added(event: &str, tag: &str) -> Incompatibility {
    Incompatibility::TagAdded {
        event: event.to_owned(),
        tag: tag.to_owned(),
    }
}

fn removed(tag: &str, renamed_to: Option<&str>) -> Incompatibility {
    Incompatibility::TagRemoved {
        event: "e.made".to_owned(),
        tag: tag.to_owned(),
        renamed_to: renamed_to.map(str::to_owned),
    }
}

#[test]
fn lock_file_contains_the_tags() {
    let text = locked::<before::E>();
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        file["tags"],
        serde_json::json!({ "e.made": ["guest", "room"] })
    );
    assert_eq!(lock::<before::E>().compare(&text).expect("no change"), text);
}

#[test]
fn changed_tags_break_the_lock() {
    events!(renamed: #[event(prefix = "e")] pub(super) enum E {
        Made { #[tag("place")] room: u32, #[tag("guest")] by: u32, note: String },
        Ended { room: u32 },
    });
    assert_eq!(
        verdicts(&lock::<renamed::E>()),
        [removed("room", Some("place"))]
    );
    events!(fewer: #[event(prefix = "e")] pub(super) enum E {
        Made { room: u32, by: u32, note: String },
        Ended { room: u32 },
    });
    assert_eq!(
        verdicts(&lock::<fewer::E>()),
        [removed("guest", None), removed("room", None)]
    );
    events!(more: #[event(prefix = "e")] pub(super) enum E {
        Made { #[tag] room: u32, #[tag("guest")] by: u32, #[tag] note: String },
        Ended { #[tag] room: u32 },
        New { #[tag] room: u32 },
    });
    assert_eq!(
        verdicts(&lock::<more::E>()),
        [added("e.ended", "room"), added("e.made", "note")]
    );
}

#[test]
fn field_of_a_tag_can_be_renamed() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        Made {
            #[tag("room")] #[serde(rename = "room")] place: u32,
            #[tag("guest")] by: u32,
            note: String,
        },
        Ended { room: u32 },
    });
    assert_eq!(verdicts(&lock::<new::E>()), []);
}

#[test]
fn alias_keeps_the_tags_of_its_events() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        #[event(alias = "e.made")]
        Booked { #[tag] room: u32, by: u32, note: String },
        Ended { room: u32 },
    });
    let expected = Incompatibility::TagRemoved {
        event: "e.booked".to_owned(),
        tag: "guest".to_owned(),
        renamed_to: None,
    };
    assert_eq!(verdicts(&lock::<new::E>()), [expected]);
}

#[test]
fn declared_change_updates_the_file() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { #[tag("place")] room: u32, #[tag("guest")] by: u32, note: String },
        Ended { room: u32 },
    });
    let declared = lock::<new::E>()
        .tag_changed("e.made", "room")
        .tag_changed("e.made", "place");
    let text = declared.compare(&locked::<before::E>()).expect("declared");
    assert_eq!(lock::<new::E>().compare(&text).expect("no change"), text);
    let only_one = lock::<new::E>().tag_changed("e.made", "room");
    assert_eq!(verdicts(&only_one), [added("e.made", "place")]);
}

#[test]
fn verdicts_name_the_next_step() {
    let text = removed("room", Some("place")).to_string();
    assert_eq!(
        text,
        "stored events of the type e.made have the tag `room`, but new ones will not: a DCB query by this tag does not \
         find them; if the field was renamed to `place`, keep the tag with `#[tag(\"room\")]`, or if no decision needs \
         it, declare the change with `.tag_changed(\"e.made\", \"room\")`"
    );
    let text = added("e.made", "note").to_string();
    assert_eq!(
        text,
        "e.made has the new tag `note`, which stored events do not have: a DCB query by this tag does not find them; tag \
         the stored events with `copy_events(…).retag::<…>()`, or use a new event type; declare the change with \
         `.tag_changed(\"e.made\", \"note\")` if the events are tagged, or if no decision needs them"
    );
}
