use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "pet")]
enum CatEvent {
    Fed,
}

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "pet")]
enum DogEvent {
    Fed,
}

#[derive(Projection, Default)]
#[projection(events = (CatEvent, DogEvent))]
struct Fed {
    cats: u32,
}

fn main() {}
