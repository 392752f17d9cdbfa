//! The rules of a lock on stored forms, one test each. Every verdict is held against what really becomes of a
//! stored event.

use factum::Event;
use factum::testkit::{EventsLock, LockError, LockFault, events_lock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A module with the type `E` as it was or will be.
macro_rules! form {
    ($module:ident: $($item:item)*) => {
        #[allow(dead_code)]
        mod $module {
            use super::*;

            $(#[derive(Event, Debug, Serialize, Deserialize, JsonSchema)] $item)*
        }
    };
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Place {
    street: String,
    kind: Two,
    lines: Vec<Line>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<uuid::Uuid>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Line {
    amount: i64,
    under: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Count {
    amount: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Flag {
    amount: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
enum Two {
    House,
    Tent,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
enum Three {
    Boat,
    House,
    Tent,
}

form!(plain: #[event(prefix = "e")] pub(super) enum E { Made { name: String, count: u32 } });

fn lock<E: Event + JsonSchema>() -> EventsLock {
    events_lock("unused").event::<E>()
}

/// The file as it was written for `Old`.
fn locked<Old: Event + JsonSchema>() -> String {
    lock::<Old>().compare("").expect("a first lock")
}

/// What the lock says of the change from `Old` to `New`; the event `old` must fare as it says.
fn change<Old: Event + JsonSchema, New: Event + JsonSchema>(
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

fn survives<Old: Event + JsonSchema, New: Event + JsonSchema>(old: &Old) -> String {
    change::<Old, New>(old).expect("it survives")
}

/// The field and the reason of the only fault.
fn breaks<Old: Event + JsonSchema, New: Event + JsonSchema>(old: &Old) -> (String, String) {
    let faults = change::<Old, New>(old).expect_err("it breaks");
    match &faults[..] {
        [
            LockFault::Unreadable {
                event,
                version: 1,
                field,
                reason,
                ..
            },
        ] if event == "e.made" => (field.clone(), reason.clone()),
        other => panic!("{other:#?}"),
    }
}

fn made() -> plain::E {
    plain::E::Made {
        name: "Ada".into(),
        count: 3,
    }
}

#[test]
fn the_file_is_sorted_with_one_field_a_line() {
    form!(all:
        #[event(prefix = "e")]
        pub(super) enum E {
            Moved { to: Place, by: Option<String> },
            #[event(version = 2, upcast = up)]
            Made { name: String, count: u32 },
            Ended,
            Weighed(f64),
            Paired(u8, char),
        }
    );
    insta::assert_snapshot!(locked::<all::E>());
}

#[test]
fn a_new_optional_field_survives() {
    form!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, count: u32, note: Option<String> }
    });
    let text = survives::<_, new::E>(&made());
    assert!(text.contains(r#""note?": "null | string""#), "{text}");
}

#[test]
fn a_new_field_with_a_default_survives_but_not_without_it() {
    form!(with: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, count: u32, #[serde(default)] size: u8 }
    });
    form!(without: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, count: u32, size: u8 }
    });
    let text = survives::<_, with::E>(&made());
    assert_eq!(
        breaks::<_, without::E>(&made()),
        (
            "size".into(),
            "is required, and what is stored does not have it".into()
        )
    );
    // Nor later: the events from before the field are still there.
    let later = lock::<without::E>().compare(&text).unwrap_err().to_string();
    assert!(later.contains("does not always have it"), "{later}");
}

#[test]
fn the_message_names_the_event_the_field_and_the_upcaster() {
    form!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, count: u32, currency: String }
    });
    let error = lock::<new::E>().compare(&locked::<plain::E>()).unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn a_changed_type_breaks() {
    form!(new: #[event(prefix = "e")] pub(super) enum E { Made { name: String, count: String } });
    let reason = "is stored as uint32, and read as string";
    assert_eq!(
        breaks::<_, new::E>(&made()),
        ("count".into(), reason.into())
    );
}

#[test]
fn a_wider_number_survives_and_a_narrower_one_breaks() {
    form!(wide: #[event(prefix = "e")] pub(super) enum E { Made { name: String, count: u64 } });
    form!(narrow: #[event(prefix = "e")] pub(super) enum E { Made { name: String, count: u8 } });
    let text = survives::<_, wide::E>(&made());
    assert!(text.contains(r#""count": "uint64""#), "{text}");
    let large = plain::E::Made {
        name: String::new(),
        count: 300,
    };
    let reason = "is stored as uint32, and read as uint8";
    assert_eq!(
        breaks::<_, narrow::E>(&large),
        ("count".into(), reason.into())
    );
}

#[test]
fn a_field_that_becomes_optional_survives_and_never_becomes_required_again() {
    form!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { name: Option<String>, count: u32 }
    });
    let text = survives::<_, new::E>(&made());
    let back = lock::<plain::E>().compare(&text).unwrap_err().to_string();
    assert!(
        back.contains("`name` is stored as null, and read as string"),
        "{back}"
    );
}

#[test]
fn a_removed_field_survives_and_its_name_is_not_free() {
    form!(gone: #[event(prefix = "e")] pub(super) enum E { Made { name: String } });
    form!(other: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, #[serde(default)] count: String }
    });
    let text = survives::<_, gone::E>(&made());
    assert!(text.contains(r#""count?": "uint32""#), "{text}");
    let reused = lock::<other::E>().compare(&text).unwrap_err().to_string();
    assert!(
        reused.contains("`count` is stored as uint32, and read as string"),
        "{reused}"
    );
}

#[test]
fn a_removed_field_breaks_where_unknown_fields_are_denied() {
    form!(new:
        #[event(prefix = "e")]
        #[serde(deny_unknown_fields)]
        pub(super) enum E { Made { name: String } }
    );
    let reason = "is stored, and unknown fields are denied";
    assert_eq!(
        breaks::<_, new::E>(&made()),
        ("count".into(), reason.into())
    );
}

#[test]
fn a_renamed_field_breaks() {
    form!(new: #[event(prefix = "e")] pub(super) enum E { Made { title: String, count: u32 } });
    let reason = "is required, and what is stored does not have it";
    assert_eq!(
        breaks::<_, new::E>(&made()),
        ("title".into(), reason.into())
    );
}

#[test]
fn a_renamed_field_that_keeps_its_stored_name_is_no_change() {
    form!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { #[serde(rename = "name")] title: String, count: u32 }
    });
    assert_eq!(survives::<_, new::E>(&made()), locked::<plain::E>());
}

#[test]
fn documentation_rust_names_and_order_are_no_change() {
    form!(new:
        /// What happens.
        #[event(prefix = "e")]
        #[serde(rename_all_fields = "snake_case")]
        pub(super) enum E {
            /// It was made.
            #[event(name = "e.made")]
            Created {
                /// How many.
                count: u32,
                /// Its name.
                name: String,
            },
        }
    );
    assert_eq!(survives::<_, new::E>(&made()), locked::<plain::E>());
}

#[test]
fn an_enum_may_grow_and_not_shrink() {
    form!(two: #[event(prefix = "e")] pub(super) enum E { Made { kind: Two } });
    form!(three: #[event(prefix = "e")] pub(super) enum E { Made { kind: Three } });
    survives::<_, three::E>(&two::E::Made { kind: Two::House });
    let (field, reason) = breaks::<_, two::E>(&three::E::Made { kind: Three::Boat });
    assert_eq!(field, "kind");
    assert_eq!(
        reason,
        r#"is stored as 'Boat', and read as ["one of","'House'","'Tent'"]"#
    );
}

#[test]
fn a_field_deep_inside_is_named_with_its_path() {
    form!(old: #[event(prefix = "e")] pub(super) enum E { Made { lines: Vec<Count> } });
    form!(new: #[event(prefix = "e")] pub(super) enum E { Made { lines: Vec<Flag> } });
    let old = old::E::Made {
        lines: vec![Count { amount: 1 }],
    };
    assert_eq!(breaks::<_, new::E>(&old).0, "lines[].amount");
}

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

fn up(json: serde_json::Value) -> Result<serde_json::Value, factum::UpcastError> {
    Ok(json)
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

/// What an event writes it must read: here the field is left out where it is zero, and required.
#[test]
fn an_event_that_does_not_read_what_it_writes_breaks_at_once() {
    form!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { #[serde(skip_serializing_if = "super::is_zero")] count: u32 }
    });
    let error = lock::<new::E>().compare("").unwrap_err().to_string();
    assert!(
        error.contains("`count` is required, and what is stored does not always have it"),
        "{error}"
    );
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Aliases shift the numbering of what serde reads; the forms must not be mixed up.
#[test]
fn each_name_has_the_form_of_its_own_variant() {
    form!(all: #[event(prefix = "e")] pub(super) enum E {
        #[serde(alias = "zeroth", alias = "begun")]
        Made { name: String },
        Ended,
        #[serde(rename = "aaa")]
        Moved { to: u8 },
        Stopped,
    });
    let text = locked::<all::E>();
    let lock: serde_json::Value = serde_json::from_str(&text).unwrap();
    let of = |name: &str| lock["events"][name]["1"].to_string();
    let found = ["e.made", "e.ended", "e.moved", "e.stopped"].map(of);
    assert_eq!(
        found,
        [r#"{"name":"string"}"#, "{}", r#"{"to":"uint8"}"#, "{}"]
    );
}

#[test]
fn a_file_of_something_else_is_refused() {
    let error = lock::<plain::E>().compare("[1]").unwrap_err();
    assert!(matches!(error, LockError::Unparsable(_)), "{error}");
    let error = lock::<plain::E>()
        .compare(r#"{"about": "", "events": {"e.made": {"1": "strign"}}}"#)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is no lock of events: `\"strign\"` is no form"
    );
}
