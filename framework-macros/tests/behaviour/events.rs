//! The JSON format, the event types and the tags of every shape of event.

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

/// Returns the event type and the JSON, and checks that the JSON decodes to the same event.
fn stored<E: Event + PartialEq + std::fmt::Debug>(event: &E) -> (&'static str, Value) {
    let json = event.to_json().unwrap();
    let decoded = E::from_json(event.type_index(), &json).unwrap();
    assert_eq!(&decoded, event);
    (
        event.event_type().name,
        serde_json::from_slice(&json).unwrap(),
    )
}

#[test]
fn variant_is_stored_as_its_fields() {
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
fn struct_is_stored_in_serde_format() {
    assert_eq!(
        stored(&Point { x: 1, y: -1 }),
        ("point", json!({ "x": 1, "y": -1 }))
    );
    assert_eq!(stored(&Distance(7)), ("geo.distance", json!(7)));
    assert_eq!(stored(&Lost), ("geo.lost", json!(null)));
}

#[test]
fn event_types_follow_variant_order() {
    let events = [Shape::Unit, Shape::Empty {}, Shape::V2Opened];
    assert_eq!(events.map(|event| event.type_index()), [0, 5, 10]);
    assert_eq!(Shape::TYPES.len(), 11);
    assert!(
        Shape::TYPES
            .iter()
            .all(|event_type| event_type.version == 1 && event_type.upcasters.is_empty())
    );
}

#[test]
fn from_json_rejects_invalid_data() {
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
fn tag_field_adds_tag() {
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
fn tags_reject_control_characters() {
    let joined = CourseEvent::Joined(7, String::new(), "e\nve".into());
    assert_eq!(
        joined.tags().unwrap_err().rule,
        "a tag holds no control characters"
    );
}
