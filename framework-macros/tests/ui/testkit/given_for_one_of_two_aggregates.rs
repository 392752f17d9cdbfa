use factum::prelude::*;
use factum_testkit::given;

#[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
enum LampEvent {
    Lit,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = (Lamp, Lamp))]
struct Swap {
    #[id]
    left: u32,
    #[id]
    right: u32,
}

impl Decide for Swap {
    type Error = std::convert::Infallible;
    fn decide(
        &self,
        _: (&Lamp, &Lamp),
    ) -> Result<(Events<LampEvent>, Events<LampEvent>), Self::Error> {
        Ok((Events::none(), Events::none()))
    }
}

fn main() {
    let _ = given([LampEvent::Lit]).when(Swap { left: 1, right: 2 });
}
