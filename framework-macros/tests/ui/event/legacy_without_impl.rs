use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account", legacy = [OpenedWith])]
enum AccountEvent {
    Opened,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "account.opened_with")]
struct OpenedWith {
    deposit: u64,
}

fn main() {}
