//! The rules of a schema lock for the fields of an event.
//!
//! Each result is compared with the result of decoding a stored event.

#![allow(
    clippy::wildcard_imports,
    reason = "the macro `events` uses the imports of this file"
)]

#[path = "support/lock.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use std::error::Error as _;

use factum::Event;
use factum::schema::{Incompatibility, LockError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use support::{compare, compatible, events, lock, locked, made, plain, up};

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

/// Returns the field and the reason of the only incompatibility.
fn incompatible<Old: Event + JsonSchema, New: Event + JsonSchema>(old: &Old) -> (String, String) {
    let found = compare::<Old, New>(old).expect_err("an incompatible change");
    match &found[..] {
        [
            Incompatibility::Unreadable {
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
fn lock_file_is_sorted_with_one_field_per_line() {
    events!(all:
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
fn new_optional_field_is_compatible() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, count: u32, note: Option<String> }
    });
    let text = compatible::<_, new::E>(&made());
    assert!(text.contains(r#""note?": "null | string""#), "{text}");
}

#[test]
fn new_field_needs_default() {
    events!(with: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, count: u32, #[serde(default)] size: u8 }
    });
    events!(without: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, count: u32, size: u8 }
    });
    let text = compatible::<_, with::E>(&made());
    assert_eq!(
        incompatible::<_, without::E>(&made()),
        (
            "size".into(),
            "is required, but stored events do not have it".into()
        )
    );
    // The default cannot be removed later, because older events do not have the field.
    let later = lock::<without::E>().compare(&text).unwrap_err().to_string();
    assert!(
        later.contains("some stored events do not have it"),
        "{later}"
    );
}

#[test]
fn error_names_event_field_and_upcaster() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, count: u32, currency: String }
    });
    let error = lock::<new::E>().compare(&locked::<plain::E>()).unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn changed_type_breaks() {
    events!(new: #[event(prefix = "e")] pub(super) enum E { Made { name: String, count: String } });
    let reason = "is stored as uint32, but read as string";
    assert_eq!(
        incompatible::<_, new::E>(&made()),
        ("count".into(), reason.into())
    );
}

#[test]
fn widened_number_is_compatible_and_narrowed_one_breaks() {
    events!(wide: #[event(prefix = "e")] pub(super) enum E { Made { name: String, count: u64 } });
    events!(narrow: #[event(prefix = "e")] pub(super) enum E { Made { name: String, count: u8 } });
    let text = compatible::<_, wide::E>(&made());
    assert!(text.contains(r#""count": "uint64""#), "{text}");
    let large = plain::E::Made {
        name: String::new(),
        count: 300,
    };
    let reason = "is stored as uint32, but read as uint8";
    assert_eq!(
        incompatible::<_, narrow::E>(&large),
        ("count".into(), reason.into())
    );
}

/// Deserializing succeeds, but returns a rounded number.
#[test]
fn number_that_loses_digits_breaks() {
    events!(whole: #[event(prefix = "e")] pub(super) enum E { Made { a: u32, b: u64, c: f32, d: f64 } });
    events!(wider: #[event(prefix = "e")] pub(super) enum E { Made { a: f64, b: u64, c: f64, d: f64 } });
    events!(lossy: #[event(prefix = "e")] pub(super) enum E { Made { a: f32, b: f64, c: f32, d: f32 } });
    let text = lock::<wider::E>().compare(&locked::<whole::E>()).unwrap();
    assert!(text.contains(r#""a": "number""#), "{text}");
    let error = lock::<lossy::E>().compare(&locked::<whole::E>());
    let Err(LockError::Incompatible(found)) = error else {
        panic!("{error:?}");
    };
    let messages = found.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(
        messages[0].contains("`a` is stored as uint32, but read as float;"),
        "{messages:?}"
    );
    assert!(
        messages[1].contains("`b` is stored as uint64, but read as number;"),
        "{messages:?}"
    );
    assert!(
        messages[2].contains("`d` is stored as number, but read as float;"),
        "{messages:?}"
    );
    assert_eq!(messages.len(), 3, "{messages:?}");
}

#[test]
fn optional_field_cannot_become_required_again() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { name: Option<String>, count: u32 }
    });
    let text = compatible::<_, new::E>(&made());
    let back = lock::<plain::E>().compare(&text).unwrap_err().to_string();
    assert!(
        back.contains("`name` is stored as null, but read as string"),
        "{back}"
    );
}

#[test]
fn name_of_removed_field_cannot_be_reused() {
    events!(gone: #[event(prefix = "e")] pub(super) enum E { Made { name: String } });
    events!(other: #[event(prefix = "e")] pub(super) enum E {
        Made { name: String, #[serde(default)] count: String }
    });
    let text = compatible::<_, gone::E>(&made());
    assert!(text.contains(r#""count?": "uint32""#), "{text}");
    let reused = lock::<other::E>().compare(&text).unwrap_err().to_string();
    assert!(
        reused.contains("`count` is stored as uint32, but read as string"),
        "{reused}"
    );
}

#[test]
fn removed_field_breaks_if_unknown_fields_are_denied() {
    events!(new:
        #[event(prefix = "e")]
        #[serde(deny_unknown_fields)]
        pub(super) enum E { Made { name: String } }
    );
    let reason = "is stored, but the code denies unknown fields";
    assert_eq!(
        incompatible::<_, new::E>(&made()),
        ("count".into(), reason.into())
    );
}

#[test]
fn renamed_field_breaks() {
    events!(new: #[event(prefix = "e")] pub(super) enum E { Made { title: String, count: u32 } });
    let reason = "is required, but stored events do not have it";
    assert_eq!(
        incompatible::<_, new::E>(&made()),
        ("title".into(), reason.into())
    );
}

#[test]
fn renamed_field_with_serde_rename_is_unchanged() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { #[serde(rename = "name")] title: String, count: u32 }
    });
    assert_eq!(compatible::<_, new::E>(&made()), locked::<plain::E>());
}

#[test]
fn documentation_rust_names_and_order_do_not_matter() {
    events!(new:
        /// The events of an item.
        #[event(prefix = "e")]
        #[serde(rename_all_fields = "snake_case")]
        pub(super) enum E {
            /// The item was created.
            #[event(name = "e.made")]
            Created {
                /// The quantity.
                count: u32,
                /// The name of the item.
                name: String,
            },
        }
    );
    assert_eq!(compatible::<_, new::E>(&made()), locked::<plain::E>());
}

#[test]
fn enum_variants_may_be_added_but_not_removed() {
    events!(two: #[event(prefix = "e")] pub(super) enum E { Made { kind: Two } });
    events!(three: #[event(prefix = "e")] pub(super) enum E { Made { kind: Three } });
    compatible::<_, three::E>(&two::E::Made { kind: Two::House });
    let (field, reason) = incompatible::<_, two::E>(&three::E::Made { kind: Three::Boat });
    assert_eq!(field, "kind");
    assert_eq!(
        reason,
        r#"is stored as 'Boat', but read as ["one of","'House'","'Tent'"]"#
    );
}

#[test]
fn nested_field_is_reported_with_its_path() {
    events!(old: #[event(prefix = "e")] pub(super) enum E { Made { lines: Vec<Count> } });
    events!(new: #[event(prefix = "e")] pub(super) enum E { Made { lines: Vec<Flag> } });
    let old = old::E::Made {
        lines: vec![Count { amount: 1 }],
    };
    assert_eq!(incompatible::<_, new::E>(&old).0, "lines[].amount");
}

/// The field is required, but skipped if it is zero.
#[test]
fn event_must_deserialize_its_own_serialized_form() {
    events!(new: #[event(prefix = "e")] pub(super) enum E {
        Made { #[serde(skip_serializing_if = "super::is_zero")] count: u32 }
    });
    let error = lock::<new::E>().compare("").unwrap_err().to_string();
    assert!(
        error.contains("`count` is required, but some stored events do not have it"),
        "{error}"
    );
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Aliases shift the indexes of the variants that serde accepts.
#[test]
fn event_type_has_schema_of_its_variant() {
    events!(all: #[event(prefix = "e")] pub(super) enum E {
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
fn invalid_lock_file_is_rejected() {
    let error = lock::<plain::E>().compare("[1]").unwrap_err();
    assert!(matches!(error, LockError::InvalidFile(_)), "{error}");
    let error = lock::<plain::E>()
        .compare(r#"{"about": "", "events": {"e.made": {"1": "strign"}}}"#)
        .unwrap_err();
    assert_eq!(
        error.source().expect("a source").to_string(),
        "invalid schema notation: `\"strign\"`"
    );
}
