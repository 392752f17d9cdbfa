use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(name = "account opened")]
    Opened,
}

fn main() {}
