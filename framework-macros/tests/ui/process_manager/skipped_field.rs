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

#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(id = u32, events = LampEvent, commands = PutOut)]
struct NightWatch {
    #[serde(skip)]
    seen: u32,
}

impl Apply<LampEvent> for NightWatch {
    fn apply(&mut self, _: &LampEvent) {}
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

impl Respond for NightWatch {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

fn main() {}
