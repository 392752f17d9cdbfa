use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent)]
#[projection(version = 2)]
struct Accounts {
    count: u64,
}

fn main() {}
