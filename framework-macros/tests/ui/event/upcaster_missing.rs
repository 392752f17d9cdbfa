use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(version = 2)]
struct Opened {
    owner: String,
}

fn main() {}
