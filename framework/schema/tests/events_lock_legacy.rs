//! The rules of a schema lock for event types that the code has renamed, retired or replaced by a legacy type.

#[path = "support/lock.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use factum::event::{LegacyEvent, UpcastError, upcast_legacy};
use factum::prelude::*;
use factum::schema::{EventsLock, Incompatibility, LockError};
use schemars::JsonSchema;

use support::{events, lock, locked, plain};

events!(renamed: #[event(name = "e.built", alias = "e.made")] pub(crate) struct E { name: String, count: u32 });
events!(narrowed: #[event(name = "e.built", alias = "e.made")] pub(crate) struct E { name: String, count: u8 });
events!(retired: #[event(prefix = "e", retired = "e.made")] pub(crate) enum E { Built });

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "e", legacy = [Made])]
enum Split {
    Named { name: String },
    Counted { count: u32 },
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "e.made")]
struct Made {
    name: String,
    count: u32,
}

impl LegacyEvent<Split> for Made {
    fn into_current(self) -> Result<Events<Split>, UpcastError> {
        let (name, count) = (self.name, self.count);
        Ok([Split::Named { name }, Split::Counted { count }].into())
    }
}

/// Returns the new lock file after a compatible change.
fn compatible<E: Event + JsonSchema>() -> String {
    let lock = lock::<E>();
    let text = lock
        .compare(&locked::<plain::E>())
        .expect("a compatible change");
    assert_eq!(lock.compare(&text).expect("an unchanged lock"), text);
    // The schema of the old event type stays in the file.
    assert!(text.contains(r#""e.made""#), "{text}");
    text
}

#[test]
fn alias_is_compatible() {
    assert!(compatible::<renamed::E>().contains(r#""e.built""#));
}

#[test]
fn alias_with_incompatible_schema_is_reported() {
    let error = lock::<narrowed::E>().compare(&locked::<plain::E>());
    let Err(LockError::Incompatible(found)) = error else {
        panic!("{error:?}");
    };
    let [Incompatibility::Unreadable { event, field, .. }] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((&**event, &**field), ("e.made", "count"));
}

#[test]
fn retired_event_type_is_recorded_in_file() {
    assert!(compatible::<retired::E>().contains("\"retired\": [\n    \"e.made\"\n  ]"));
}

/// Returns the incompatibilities with `text`.
fn incompatibilities(lock: &EventsLock, text: &str) -> Vec<Incompatibility> {
    match lock.compare(text) {
        Err(LockError::Incompatible(found)) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn legacy_type_must_be_added_to_lock() {
    let text = locked::<plain::E>();
    let (event, version) = ("e.made".to_owned(), 1);
    let not_added = Incompatibility::LegacyTypeNotAdded { event, version };
    assert_eq!(incompatibilities(&lock::<Split>(), &text), [not_added]);
    let lock = lock::<Split>().legacy::<Made>();
    let now = lock.compare(&text).unwrap();
    assert_eq!(lock.compare(&now).unwrap(), now);
    assert!(
        now.contains(r#""e.made""#) && !now.contains("retired"),
        "{now}"
    );
}

/// A legacy type that does not have the stored schema any more.
#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "e.made")]
struct Changed {
    name: String,
    number: u32,
}

#[test]
fn legacy_type_with_incompatible_schema_is_reported() {
    let found = incompatibilities(&lock::<Split>().legacy::<Changed>(), &locked::<plain::E>());
    let [Incompatibility::Unreadable { event, field, .. }] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((&**event, &**field), ("e.made", "number"));
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "e", legacy = [MadeBefore])]
enum Raised {
    #[event(version = 2, upcast = upcast_legacy)]
    Made { name: String },
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "e.made")]
struct MadeBefore {
    name: String,
    count: Option<u8>,
}

impl LegacyEvent<Raised> for MadeBefore {
    fn into_current(self) -> Result<Events<Raised>, UpcastError> {
        Ok(Raised::Made { name: self.name }.into())
    }
}

#[test]
fn old_version_is_compared_with_legacy_type() {
    let text = locked::<plain::E>();
    let (event, version) = ("e.made".to_owned(), 1);
    let not_added = Incompatibility::LegacyTypeNotAdded { event, version };
    assert_eq!(incompatibilities(&lock::<Raised>(), &text), [not_added]);
    let found = incompatibilities(&lock::<Raised>().legacy::<MadeBefore>(), &text);
    let [Incompatibility::Unreadable { version, field, .. }] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((*version, &**field), (1, "count"));
    let updated = lock::<Raised>().legacy::<Made>().compare(&text).unwrap();
    assert!(updated.contains(r#""2": {"#), "{updated}");
}
