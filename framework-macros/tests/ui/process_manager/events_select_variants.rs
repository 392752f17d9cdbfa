use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "vessel")]
enum VesselEvent {
    Built,
    Serviced,
}

#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(id = u32, events = (VesselEvent::{Serviced}, VesselEvent), commands = ())]
struct Service;

fn main() {}
