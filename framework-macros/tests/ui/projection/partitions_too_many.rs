use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent, partitions = 1001)]
struct Accounts {
    count: u64,
}

fn main() {}
