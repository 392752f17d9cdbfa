//! The rules of a lock on stored forms for names and versions, one test each.

#![allow(
    clippy::wildcard_imports,
    reason = "a form takes in what stands around it"
)]

#[path = "support/lock.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use factum::Event;
use factum::schema::{LockError, LockFault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use support::{change, form, lock, locked, made, plain, survives, up};

#[test]
fn a_removed_event_breaks_until_it_is_retired() {
    form!(old: #[event(prefix = "e")] pub(super) enum E { Made, Ended { why: String } });
    form!(new: #[event(prefix = "e")] pub(super) enum E { Made });
    let ended = old::E::Ended { why: "age".into() };
    let faults = change::<_, new::E>(&ended).unwrap_err();
    assert_eq!(
        faults,
        [LockFault::Gone {
            event: "e.ended".into(),
            instead: None
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
        both.contains("e.ended is declared retired, and is in the code"),
        "{both}"
    );
}

#[test]
fn a_retired_name_that_comes_back_still_has_its_old_form() {
    form!(old: #[event(prefix = "e")] pub(super) enum E { Made, Ended { why: String } });
    form!(new: #[event(prefix = "e")] pub(super) enum E { Made });
    form!(back: #[event(prefix = "e")] pub(super) enum E { Made, Ended { why: u8 } });
    let text = lock::<new::E>()
        .retired("e.ended")
        .compare(&locked::<old::E>())
        .unwrap();
    let error = lock::<back::E>().compare(&text).unwrap_err().to_string();
    assert!(
        error.contains("`why` is stored as string, and read as uint8"),
        "{error}"
    );
}

#[test]
fn a_renamed_event_breaks_and_the_new_name_is_found() {
    form!(new: #[event(prefix = "e")] pub(super) enum E { Created { name: String, count: u32 } });
    let faults = change::<_, new::E>(&made()).unwrap_err();
    let instead = Some("e.created".into());
    assert_eq!(
        faults,
        [LockFault::Gone {
            event: "e.made".into(),
            instead
        }]
    );
}

#[test]
fn a_raised_version_with_an_upcaster_may_have_any_form() {
    form!(new: #[event(prefix = "e")] pub(super) enum E {
        #[event(version = 2, upcast = up)]
        Made { title: u8 }
    });
    let text = survives::<_, new::E>(&made());
    assert!(
        text.contains(r#""1": {"#) && text.contains(r#""2": {"#),
        "{text}"
    );
    let lowered = lock::<plain::E>().compare(&text).unwrap_err();
    let LockError::Broken(faults) = lowered else {
        panic!("{lowered}")
    };
    let event = "e.made".to_owned();
    assert_eq!(
        faults,
        [LockFault::Lowered {
            event,
            locked: 2,
            version: 1
        }]
    );
}

/// The derive does not let this happen; an impl by hand does.
#[test]
fn a_raised_version_without_an_upcaster_for_each_step_breaks() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct ByHand;
    impl Event for ByHand {
        const TYPES: &'static [factum::EventType] = &[factum::EventType {
            name: "e.made",
            version: 3,
            upcasters: &[up],
            tags: &[],
            personal: &[],
            aliases: &[],
        }];
        fn type_index(&self) -> usize {
            0
        }
        fn tags(&self) -> Result<Vec<factum::Tag>, factum::InvalidTag> {
            Ok(Vec::new())
        }
        fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
            serde_json::to_vec(self)
        }
        fn from_json(_: usize, json: &[u8]) -> Result<Self, serde_json::Error> {
            serde_json::from_slice(json)
        }
    }
    let error = lock::<ByHand>().compare(&locked::<plain::E>()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "what is stored would not be read any more\n\n- e.made, version 3, needs an upcaster for each step up \
         from version 1, 2 in all, and has 1"
    );
}
