//! What a lock says of stored names that the code has given up in a declared way.

#[path = "support/lock.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use factum::prelude::*;
use factum::schema::{EventsLock, LockError, LockFault};
use factum::{LegacyEvent, UpcastError, upcast_legacy};
use schemars::JsonSchema;

use support::{form, lock, locked, plain};

form!(renamed: #[event(name = "e.built", alias = "e.made")] pub(crate) struct E { name: String, count: u32 });
form!(narrowed: #[event(name = "e.built", alias = "e.made")] pub(crate) struct E { name: String, count: u8 });
form!(retired: #[event(prefix = "e", retired = "e.made")] pub(crate) enum E { Built });

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

/// What the file holds behind a change that old events survive.
fn survives<E: Event + JsonSchema>() -> String {
    let lock = lock::<E>();
    let text = lock.compare(&locked::<plain::E>()).expect("it survives");
    assert_eq!(lock.compare(&text).expect("the same"), text);
    // What is known of the old form stays.
    assert!(text.contains(r#""e.made""#), "{text}");
    text
}

#[test]
fn a_name_that_is_read_under_another_survives() {
    assert!(survives::<renamed::E>().contains(r#""e.built""#));
}

#[test]
fn an_old_name_is_held_to_its_form() {
    let error = lock::<narrowed::E>().compare(&locked::<plain::E>());
    let Err(LockError::Broken(faults)) = error else {
        panic!("{error:?}");
    };
    let [LockFault::Unreadable { event, field, .. }] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert_eq!((&**event, &**field), ("e.made", "count"));
}

#[test]
fn a_retired_name_is_noted_in_the_file() {
    assert!(survives::<retired::E>().contains("\"retired\": [\n    \"e.made\"\n  ]"));
}

/// What the lock finds wrong with `text`.
fn wrong(lock: &EventsLock, text: &str) -> Vec<LockFault> {
    match lock.compare(text) {
        Err(LockError::Broken(faults)) => faults,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_name_that_an_old_type_takes_survives_where_that_type_is_locked() {
    let text = locked::<plain::E>();
    let (event, version) = ("e.made".to_owned(), 1);
    let unlocked = LockFault::Unlocked { event, version };
    assert_eq!(wrong(&lock::<Split>(), &text), [unlocked]);
    let lock = lock::<Split>().legacy::<Made>();
    let now = lock.compare(&text).unwrap();
    assert_eq!(lock.compare(&now).unwrap(), now);
    assert!(
        now.contains(r#""e.made""#) && !now.contains("retired"),
        "{now}"
    );
}

/// The old type has changed, and what is stored has not.
#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "e.made")]
struct Changed {
    name: String,
    number: u32,
}

#[test]
fn what_an_old_type_reads_is_held_to_its_form() {
    let faults = wrong(&lock::<Split>().legacy::<Changed>(), &locked::<plain::E>());
    let [LockFault::Unreadable { event, field, .. }] = &faults[..] else {
        panic!("{faults:?}");
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
fn an_old_version_of_a_name_is_held_to_the_type_that_reads_it() {
    let text = locked::<plain::E>();
    let (event, version) = ("e.made".to_owned(), 1);
    let unlocked = LockFault::Unlocked { event, version };
    assert_eq!(wrong(&lock::<Raised>(), &text), [unlocked]);
    let faults = wrong(&lock::<Raised>().legacy::<MadeBefore>(), &text);
    let [LockFault::Unreadable { version, field, .. }] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert_eq!((*version, &**field), (1, "count"));
    let fits = lock::<Raised>().legacy::<Made>().compare(&text).unwrap();
    assert!(fits.contains(r#""2": {"#), "{fits}");
}
