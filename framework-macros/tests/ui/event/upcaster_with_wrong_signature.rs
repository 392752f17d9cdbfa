use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(version = 2, upcast = v1_to_v2)]
    Opened { owner: String },
}

fn v1_to_v2(old: serde_json::Value) -> serde_json::Value {
    old
}

fn main() {}
