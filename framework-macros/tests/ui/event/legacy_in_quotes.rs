use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account", legacy = "OpenedWith")]
enum AccountEvent {
    Opened,
}

fn main() {}
