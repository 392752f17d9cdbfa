//! What the tests of the lock share.

use factum::Event;
use factum::schema::{EventsLock, LockError, LockFault, events_lock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A module with the type `E` as it was or will be.
macro_rules! form {
    ($module:ident: $($item:item)*) => {
        #[allow(dead_code)]
        pub(crate) mod $module {
            use super::*;

            $(#[derive(Event, Debug, Serialize, Deserialize, JsonSchema)] $item)*
        }
    };
}

pub(crate) use form;

form!(plain: #[event(prefix = "e")] pub(crate) enum E { Made { name: String, count: u32 } });

pub(crate) fn lock<E: Event + JsonSchema>() -> EventsLock {
    events_lock("unused").event::<E>()
}

/// The file as it was written for `Old`.
pub(crate) fn locked<Old: Event + JsonSchema>() -> String {
    lock::<Old>().compare("").expect("a first lock")
}

/// What the lock says of the change from `Old` to `New`; the event `old` must fare as it says.
pub(crate) fn change<Old: Event + JsonSchema, New: Event + JsonSchema>(
    old: &Old,
) -> Result<String, Vec<LockFault>> {
    let verdict = lock::<New>().compare(&locked::<Old>());
    let json = old.to_json().expect("an event");
    let name = old.event_type().name;
    let index = New::TYPES.iter().position(|kind| kind.name == name);
    let read = index.is_some_and(|index| {
        New::TYPES[index].version != old.event_type().version
            || New::from_json(index, &json).is_ok()
    });
    assert_eq!(
        verdict.is_ok(),
        read,
        "{verdict:?}, and the event is read: {read}"
    );
    match verdict {
        Ok(text) => {
            assert_eq!(
                lock::<New>().compare(&text).expect("the same"),
                text,
                "a fixed point"
            );
            Ok(text)
        }
        Err(LockError::Broken(faults)) => Err(faults),
        Err(other) => panic!("{other}"),
    }
}

pub(crate) fn survives<Old: Event + JsonSchema, New: Event + JsonSchema>(old: &Old) -> String {
    change::<Old, New>(old).expect("it survives")
}

pub(crate) fn made() -> plain::E {
    plain::E::Made {
        name: "Ada".into(),
        count: 3,
    }
}

pub(crate) fn up(json: serde_json::Value) -> Result<serde_json::Value, factum::UpcastError> {
    Ok(json)
}
