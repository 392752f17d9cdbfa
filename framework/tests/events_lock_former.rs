//! What a lock says of stored names that the code has given up in a declared way.

#[path = "support/lock.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use factum::prelude::*;
use factum::testkit::{LockError, LockFault};
use factum::{Formerly, UpcastError};
use schemars::JsonSchema;

use support::{form, lock, locked, plain};

form!(renamed: #[event(name = "e.built", was = "e.made")] pub(crate) struct E { name: String, count: u32 });
form!(narrowed: #[event(name = "e.built", was = "e.made")] pub(crate) struct E { name: String, count: u8 });
form!(retired: #[event(prefix = "e", retired = "e.made")] pub(crate) enum E { Built });

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "e", formerly = [Made])]
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

impl Formerly<Split> for Made {
    fn today(self) -> Result<Events<Split>, UpcastError> {
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

#[test]
fn a_name_that_an_old_type_takes_survives() {
    assert!(!survives::<Split>().contains("retired"));
}
