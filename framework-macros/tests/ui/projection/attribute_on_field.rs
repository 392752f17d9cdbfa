use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent)]
struct Accounts {
    #[projection(version = 2)]
    count: u64,
}

fn main() {}
