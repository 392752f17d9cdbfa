use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "vessel")]
enum VesselEvent {
    Built,
    Serviced,
}

#[derive(Projection, Default)]
#[projection(events = VesselEvent::{Serviced})]
struct Services;

fn main() {}
