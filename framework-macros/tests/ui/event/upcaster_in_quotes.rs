use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    #[event(version = 2, upcast = "v1_to_v2")]
    Opened { owner: String },
}

fn main() {}
