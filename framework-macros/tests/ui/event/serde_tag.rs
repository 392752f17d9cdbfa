use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    Opened,
}

fn main() {}
