use factum::event::{LegacyEvent, UpcastError};
use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "cat", legacy = [FedBefore])]
enum CatEvent {
    Fed,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "pet.fed")]
struct FedBefore;

impl LegacyEvent<CatEvent> for FedBefore {
    fn into_current(self) -> Result<Events<CatEvent>, UpcastError> {
        Ok(CatEvent::Fed.into())
    }
}

#[derive(Event, Serialize, Deserialize)]
enum DogEvent {
    #[event(name = "dog.fed", alias = "pet.fed")]
    Fed,
}

#[derive(Projection, Default)]
#[projection(events = (CatEvent, DogEvent))]
struct Fed {
    cats: u32,
}

fn main() {}
