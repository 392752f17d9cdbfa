use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event]
enum AccountEvent {
    Opened,
}

fn main() {}
