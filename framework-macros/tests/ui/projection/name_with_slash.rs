use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent, name = "bank/accounts")]
struct Accounts {
    count: u64,
}

fn main() {}
