use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
    #[serde(skip)]
    Closed,
}

fn main() {}
