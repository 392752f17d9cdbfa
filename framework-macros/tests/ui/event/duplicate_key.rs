use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(name = "account.opened", name = "account.created")]
    Opened,
}

fn main() {}
