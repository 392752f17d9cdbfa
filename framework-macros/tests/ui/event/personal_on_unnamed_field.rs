use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CustomerEvent {
    Registered(#[personal] String),
}

fn main() {}
