//! The rules of a lock on stored forms for the fields of an event, one test each. Every verdict is held against
//! what really becomes of a stored event.

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
    under: Vec<Self>,
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

/// It is read, as another number.
#[test]
fn a_number_that_would_lose_digits_breaks() {
    form!(whole: #[event(prefix = "e")] pub(super) enum E { Made { a: u32, b: u64, c: f32, d: f64 } });
    form!(wider: #[event(prefix = "e")] pub(super) enum E { Made { a: f64, b: u64, c: f64, d: f64 } });
    form!(lossy: #[event(prefix = "e")] pub(super) enum E { Made { a: f32, b: f64, c: f32, d: f32 } });
    let text = lock::<wider::E>().compare(&locked::<whole::E>()).unwrap();
    assert!(text.contains(r#""a": "number""#), "{text}");
    let error = lock::<lossy::E>().compare(&locked::<whole::E>());
    let Err(LockError::Broken(faults)) = error else {
        panic!("{error:?}");
    };
    let said = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(
        said[0].contains("`a` is stored as uint32, and read as float."),
        "{said:?}"
    );
    assert!(
        said[1].contains("`b` is stored as uint64, and read as number."),
        "{said:?}"
    );
    assert!(
        said[2].contains("`d` is stored as number, and read as float."),
        "{said:?}"
    );
    assert_eq!(said.len(), 3, "{said:?}");
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
        #[serde(rename(serialize = "a", deserialize = "z"))]
        Weighed { grams: u16 },
        #[serde(rename(serialize = "z", deserialize = "a"))]
        Sold { cents: u64 },
    });
    let text = locked::<all::E>();
    let lock: serde_json::Value = serde_json::from_str(&text).unwrap();
    let of = |name: &str| lock["events"][name]["1"].to_string();
    let found = ["e.made", "e.ended", "e.moved", "e.stopped"].map(of);
    assert_eq!(
        found,
        [r#"{"name":"string"}"#, "{}", r#"{"to":"uint8"}"#, "{}"]
    );
    let found = ["e.weighed", "e.sold"].map(of);
    assert_eq!(found, [r#"{"grams":"uint16"}"#, r#"{"cents":"uint64"}"#]);
}

#[test]
fn a_file_of_something_else_is_rejected() {
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
