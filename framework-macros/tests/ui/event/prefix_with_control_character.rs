use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account\u{7}")]
enum AccountEvent {
    Opened,
}

fn main() {}
