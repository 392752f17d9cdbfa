use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(name = "")]
    Opened,
}

fn main() {}
