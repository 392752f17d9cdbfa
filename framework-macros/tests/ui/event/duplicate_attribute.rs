use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(name = "account.opened")]
    #[event(version = 1)]
    Opened,
}

fn main() {}
