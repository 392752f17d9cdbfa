use factum::prelude::*;

#[derive(Event, Serialize)]
struct Opened {
    owner: String,
}

fn main() {}
