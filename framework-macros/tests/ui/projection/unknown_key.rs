use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(event = AccountEvent)]
struct Accounts {
    count: u64,
}

fn main() {}
