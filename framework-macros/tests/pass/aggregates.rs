//! Aggregates of every shape.

use factum::Id;
use factum::prelude::*;
use uuid::Uuid;

#[derive(Event, Serialize, Deserialize)]
enum LampEvent {
    Switched { on: bool },
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp {
    on: bool,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "state", id = String, event = LampEvent,)]
enum State {
    #[default]
    Off,
    On,
}

#[derive(Id)]
struct SwitchId(Uuid);

#[derive(Aggregate, Default, Clone, Serialize, Deserialize)]
#[aggregate(
    category = "switch",
    id = SwitchId,
    event = LampEvent,
    snapshot(every = 100, version = 2),
    crate = factum
)]
struct Switch(u64);

#[derive(Aggregate, Default, Clone, Serialize, Deserialize)]
#[aggregate(category = "unit", id = Uuid, event = LampEvent, snapshot(every = 10))]
struct Unit;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, event: &LampEvent) {
        let LampEvent::Switched { on } = event;
        self.on = *on;
    }
}

impl Apply<LampEvent> for State {
    fn apply(&mut self, LampEvent::Switched { on }: &LampEvent) {
        *self = if *on { Self::On } else { Self::Off };
    }
}

impl Apply<LampEvent> for Switch {
    fn apply(&mut self, _: &LampEvent) {
        self.0 += 1;
    }
}

impl Apply<LampEvent> for Unit {
    fn apply(&mut self, _: &LampEvent) {}
}

fn main() {
    assert!(Lamp::SNAPSHOT.is_none());
    assert!(State::SNAPSHOT.is_none());
    let policy = |policy: Option<(u64, u32)>| policy;
    assert_eq!(
        policy(Switch::SNAPSHOT.map(|p| (p.every, p.schema_version))),
        Some((100, 2))
    );
    assert_eq!(
        policy(Unit::SNAPSHOT.map(|p| (p.every, p.schema_version))),
        Some((10, 1))
    );
    assert_eq!(Lamp::CATEGORY, "lamp");
    let id = SwitchId(Uuid::nil());
    assert_eq!(
        Switch::stream(&id).unwrap().to_string(),
        format!("switch-{}", Uuid::nil())
    );
}
