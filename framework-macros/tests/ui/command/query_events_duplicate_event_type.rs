use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "pet")]
enum CatEvent {
    Fed { #[tag] owner: u32 },
}

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "pet")]
enum DogEvent {
    Fed,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "cat", id = u32, event = CatEvent)]
struct Cat;

impl Apply<CatEvent> for Cat {
    fn apply(&mut self, _: &CatEvent) {}
}

impl Apply<DogEvent> for Cat {
    fn apply(&mut self, _: &DogEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Cat, query = Cat, events = (CatEvent, DogEvent))]
struct Feed {
    #[id]
    cat: u32,
    #[tag]
    owner: u32,
}

impl Decide for Feed {
    type Error = std::convert::Infallible;

    fn decide(&self, _: (&Cat, &Cat)) -> Result<Events<CatEvent>, Self::Error> {
        Ok(Events::none())
    }
}

fn main() {}
