use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(upcast = v1_to_v2)]
    Opened { owner: String },
}

fn v1_to_v2(old: serde_json::Value) -> Result<serde_json::Value, factum::event::UpcastError> {
    Ok(old)
}

fn main() {}
