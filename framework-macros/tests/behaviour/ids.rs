//! Ids that wrap one value.

use factum::Id;
use factum::prelude::*;
use serde_json::json;
use uuid::Uuid;

#[derive(Id, Debug, Clone, Copy, PartialEq, Eq)]
struct SpecId(Uuid);

#[derive(Id, Debug, PartialEq)]
struct LampId(u32);

#[derive(Event, Serialize, Deserialize)]
enum LampEvent {
    Switched {
        #[tag]
        lamp: LampId,
    },
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "lamp", id = LampId, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[test]
fn id_round_trips_through_text() {
    let id = SpecId(Uuid::from_u128(7));
    assert_eq!(id.to_string(), Uuid::from_u128(7).to_string());
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!("x".parse::<LampId>(), Err("x".parse::<u32>().unwrap_err()));
    assert_eq!(format!("{:>4}", LampId(7)), "   7");
}

#[test]
fn id_serializes_as_inner_value() {
    let json = serde_json::to_value(LampId(7)).unwrap();
    assert_eq!(json, json!(7));
    assert_eq!(serde_json::from_value::<LampId>(json).unwrap(), LampId(7));
}

#[test]
fn id_converts_from_and_to_inner_value() {
    assert_eq!(LampId::from(7), LampId(7));
    assert_eq!(u32::from(LampId(7)), 7);
}

#[test]
fn id_is_stream_key_and_tag_value() {
    assert_eq!(Lamp::stream(&LampId(7)).unwrap().to_string(), "lamp-7");
    let tags = LampEvent::Switched { lamp: LampId(7) }.tags().unwrap();
    assert_eq!(
        tags.iter()
            .map(factum::store::Tag::as_str)
            .collect::<Vec<_>>(),
        ["lamp:7"]
    );
}
