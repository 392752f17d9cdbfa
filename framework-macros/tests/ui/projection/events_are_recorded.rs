use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "vessel")]
enum VesselEvent {
    Built,
    Serviced,
}

#[derive(Projection, Default)]
#[projection(events = Recorded<VesselEvent>)]
struct Services;

fn main() {}
