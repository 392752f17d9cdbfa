use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent)]
struct Accounts<T> {
    all: Vec<T>,
}

fn main() {}
