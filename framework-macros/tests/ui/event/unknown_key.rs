use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefx = "account")]
enum AccountEvent {
    Opened,
}

fn main() {}
