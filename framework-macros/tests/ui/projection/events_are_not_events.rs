use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(events = u32)]
struct Accounts {
    count: u64,
}

fn main() {}
