use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix)]
enum AccountEvent {
    Opened,
}

fn main() {}
