use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(prefix = "account")]
    Opened,
}

fn main() {}
