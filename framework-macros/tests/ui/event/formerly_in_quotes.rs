use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account", formerly = "OpenedWith")]
enum AccountEvent {
    Opened,
}

fn main() {}
