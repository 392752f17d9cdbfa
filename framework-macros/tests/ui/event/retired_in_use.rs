use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account", retired = ["account.opened", "account.nudged"])]
enum AccountEvent {
    Opened,
}

fn main() {}
