use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[personal]
struct Registered {
    name: String,
}

fn main() {}
