use factum::prelude::*;

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
#[command(on = Lamp, version = 2)]
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

fn main() {}
