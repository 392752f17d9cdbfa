//! The stored form of every shape of event.

use factum::prelude::*;
use serde_json::{Value, json};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "shape")]
enum Shape {
    Unit,
    NewType(u32),
    NewTypeOfMany(Vec<u8>),
    Tuple(u32, String),
    Named {
        text: String,
    },
    Empty {},
    Renamed {
        #[serde(rename = "by")]
        actor: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(skip)]
        cached: u8,
    },
    #[serde(rename_all = "camelCase", rename = "somethingElse")]
    #[event(name = "shape.of-old")]
    Cased {
        first_name: String,
    },
    Flat {
        id: u32,
        #[serde(flatten)]
        rest: Point,
    },
    HTTPRequested,
    V2Opened,
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "geo")]
struct Distance(u64);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(name = "geo.lost", prefix = "unused")]
struct Lost;

/// The stored name and form; and that the event comes back out of it.
fn stored<E: Event + PartialEq + std::fmt::Debug>(event: &E) -> (&'static str, Value) {
    let json = event.to_json().unwrap();
    let back = E::from_json(event.type_index(), &json).unwrap();
    assert_eq!(&back, event);
    (
        event.event_type().name,
        serde_json::from_slice(&json).unwrap(),
    )
}

#[test]
fn a_variant_is_stored_as_its_fields_alone() {
    let text = || "a".to_owned();
    let cases = [
        (Shape::Unit, "shape.unit", json!({})),
        (Shape::NewType(3), "shape.new_type", json!(3)),
        (
            Shape::NewTypeOfMany(vec![1, 2]),
            "shape.new_type_of_many",
            json!([1, 2]),
        ),
        (Shape::Tuple(3, text()), "shape.tuple", json!([3, "a"])),
        (
            Shape::Named { text: text() },
            "shape.named",
            json!({ "text": "a" }),
        ),
        (Shape::Empty {}, "shape.empty", json!({})),
        (
            Shape::Renamed {
                actor: text(),
                reason: None,
                cached: 0,
            },
            "shape.renamed",
            json!({ "by": "a" }),
        ),
        (
            Shape::Cased { first_name: text() },
            "shape.of-old",
            json!({ "firstName": "a" }),
        ),
        (
            Shape::Flat {
                id: 1,
                rest: Point { x: 2, y: 3 },
            },
            "shape.flat",
            json!({ "id": 1, "x": 2, "y": 3 }),
        ),
        (Shape::HTTPRequested, "shape.http_requested", json!({})),
        (Shape::V2Opened, "shape.v2_opened", json!({})),
    ];
    for (event, name, json) in cases {
        assert_eq!(stored(&event), (name, json));
    }
}

#[test]
fn a_struct_is_stored_as_serde_writes_it() {
    assert_eq!(
        stored(&Point { x: 1, y: -1 }),
        ("point", json!({ "x": 1, "y": -1 }))
    );
    assert_eq!(stored(&Distance(7)), ("geo.distance", json!(7)));
    assert_eq!(stored(&Lost), ("geo.lost", json!(null)));
}

#[test]
fn the_kinds_stand_in_the_order_of_the_variants() {
    let events = [Shape::Unit, Shape::Empty {}, Shape::V2Opened];
    assert_eq!(events.map(|event| event.type_index()), [0, 5, 10]);
    assert_eq!(Shape::TYPES.len(), 11);
    assert!(
        Shape::TYPES
            .iter()
            .all(|kind| kind.version == 1 && kind.upcasters.is_empty())
    );
}

#[test]
fn what_does_not_fit_the_fields_is_rejected() {
    assert!(Shape::from_json(4, br#"{"txt":"a"}"#).is_err());
    assert!(Shape::from_json(4, br#"{"text":"a"} x"#).is_err());
    assert!(Shape::from_json(11, b"{}").is_err());
}

#[derive(Event, Serialize, Deserialize)]
enum CourseEvent {
    Opened {
        #[tag]
        course: u32,
        #[tag("teacher")]
        held_by: String,
        #[tag("teacher")]
        assisted_by: String,
        seats: u32,
    },
    Joined(#[tag("course")] u32, String, #[tag("student")] String),
    Moved {
        #[tag]
        r#in: u32,
    },
    Closed,
}

#[derive(Event, Serialize, Deserialize)]
struct Graded {
    #[tag]
    course: u32,
}

fn tags<E: Event>(event: &E) -> Vec<String> {
    event
        .tags()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_tagged_field_gives_a_tag() {
    let opened = CourseEvent::Opened {
        course: 7,
        held_by: "ann".into(),
        assisted_by: "bob".into(),
        seats: 30,
    };
    assert_eq!(tags(&opened), ["course:7", "teacher:ann", "teacher:bob"]);
    assert_eq!(
        tags(&CourseEvent::Joined(7, "x".into(), "eve".into())),
        ["course:7", "student:eve"]
    );
    assert_eq!(tags(&CourseEvent::Moved { r#in: 2 }), ["in:2"]);
    assert!(tags(&CourseEvent::Closed).is_empty());
    assert_eq!(tags(&Graded { course: 7 }), ["course:7"]);
}

#[test]
fn a_value_that_is_no_tag_is_rejected() {
    let joined = CourseEvent::Joined(7, String::new(), "e\nve".into());
    assert_eq!(
        joined.tags().unwrap_err().rule,
        "a tag holds no control characters"
    );
}
