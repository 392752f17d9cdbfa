//! Process managers of every shape.

use factum::prelude::*;
use factum::process::{Correlation, Deadline, Reactions, Rejection};

#[derive(Event, Serialize, Deserialize)]
enum LampEvent {
    Lit { lamp: u32 },
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[derive(Command, Serialize, Deserialize)]
#[command(on = Lamp)]
struct PutOut {
    #[id]
    lamp: u32,
}

impl Decide for PutOut {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(Events::none())
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Dim {
    #[id]
    lamp: u32,
}

impl Decide for Dim {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(Events::none())
    }
}

#[derive(Event, Serialize, Deserialize)]
enum MoonEvent {
    Risen,
}

#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(
    name = "watch",
    version = 2,
    upcast = add_lamps,
    id = u32,
    events = (LampEvent, MoonEvent),
    commands = (PutOut, Dim),
)]
struct NightWatch {
    lamps: u32,
}

fn add_lamps(mut old: serde_json::Value) -> Result<serde_json::Value, factum::event::UpcastError> {
    old["lamps"] = 0.into();
    Ok(old)
}

impl Apply<LampEvent> for NightWatch {
    fn apply(&mut self, _: &LampEvent) {}
}

impl Apply<MoonEvent> for NightWatch {
    fn apply(&mut self, _: &MoonEvent) {}
}

impl React<LampEvent> for NightWatch {
    fn correlate(event: &Recorded<LampEvent>) -> Correlation<u32> {
        let LampEvent::Lit { lamp } = event.event;
        Correlation::Starts(lamp)
    }

    fn react(&self, event: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
        let LampEvent::Lit { lamp } = event.event;
        then.send(PutOut { lamp });
    }
}

impl React<MoonEvent> for NightWatch {
    fn correlate(_: &Recorded<MoonEvent>) -> Correlation<u32> {
        Correlation::Ignored
    }

    fn react(&self, _: &Recorded<MoonEvent>, _: &mut Reactions<Self>) {}
}

impl Respond for NightWatch {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(id = String, events = MoonEvent, commands = ())]
enum Tide {
    #[default]
    Low,
    High,
}

impl Apply<MoonEvent> for Tide {
    fn apply(&mut self, _: &MoonEvent) {
        *self = Self::High;
    }
}

impl React<MoonEvent> for Tide {
    fn correlate(_: &Recorded<MoonEvent>) -> Correlation<String> {
        Correlation::Starts("sea".to_owned())
    }

    fn react(&self, event: &Recorded<MoonEvent>, then: &mut Reactions<Self>) {
        then.deadline("ebb", event.record.recorded_at).cancel("ebb").complete();
    }
}

impl Respond for Tide {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {
        *self = Self::Low;
    }
}

fn main() {
    assert_eq!((NightWatch::NAME, NightWatch::VERSION), ("watch", 2));
    assert_eq!((Tide::NAME, Tide::VERSION), ("tide", 1));
}
