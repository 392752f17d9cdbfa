//! Shared functions of the tests of the schema lock.

use factum::Event;
use factum::schema::{EventsLock, Incompatibility, LockError, events_lock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Defines a module with one version of the event type `E`.
macro_rules! events {
    ($module:ident: $($item:item)*) => {
        #[allow(dead_code)]
        pub(crate) mod $module {
            use super::*;

            $(#[derive(Event, Debug, Serialize, Deserialize, JsonSchema)] $item)*
        }
    };
}

pub(crate) use events;

events!(plain: #[event(prefix = "e")] pub(crate) enum E { Made { name: String, count: u32 } });

pub(crate) fn lock<E: Event + JsonSchema>() -> EventsLock {
    events_lock("unused").event::<E>()
}

/// Returns the lock file that contains the schemas of `Old`.
pub(crate) fn locked<Old: Event + JsonSchema>() -> String {
    lock::<Old>().compare("").expect("a first lock")
}

/// Compares `New` with the lock file of `Old`, and checks that the result is true for the event `old`.
pub(crate) fn compare<Old: Event + JsonSchema, New: Event + JsonSchema>(
    old: &Old,
) -> Result<String, Vec<Incompatibility>> {
    let result = lock::<New>().compare(&locked::<Old>());
    let json = old.to_json().expect("an event");
    let name = old.event_type().name;
    let index = New::TYPES
        .iter()
        .position(|event_type| event_type.name == name);
    let is_readable = index.is_some_and(|index| {
        New::TYPES[index].version != old.event_type().version
            || New::from_json(index, &json).is_ok()
    });
    assert_eq!(
        result.is_ok(),
        is_readable,
        "{result:?}, but the event is readable: {is_readable}"
    );
    match result {
        Ok(text) => {
            assert_eq!(
                lock::<New>().compare(&text).expect("an unchanged lock"),
                text,
                "a second comparison changes the lock file"
            );
            Ok(text)
        }
        Err(LockError::Incompatible(found)) => Err(found),
        Err(other) => panic!("{other}"),
    }
}

/// Returns the new lock file after a compatible change.
pub(crate) fn compatible<Old: Event + JsonSchema, New: Event + JsonSchema>(old: &Old) -> String {
    compare::<Old, New>(old).expect("a compatible change")
}

pub(crate) fn made() -> plain::E {
    plain::E::Made {
        name: "Ada".into(),
        count: 3,
    }
}

pub(crate) fn up(json: serde_json::Value) -> Result<serde_json::Value, factum::event::UpcastError> {
    Ok(json)
}
