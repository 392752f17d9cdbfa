use factum::prelude::*;

#[derive(Event, Deserialize)]
enum AccountEvent {
    Opened { owner: String },
}

fn main() {}
