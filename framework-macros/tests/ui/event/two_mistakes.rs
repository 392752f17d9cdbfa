use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(version = 0)]
    Opened,
    #[event(nam = "account.closed")]
    Closed,
}

fn main() {}
