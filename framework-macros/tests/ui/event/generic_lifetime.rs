use factum::prelude::*;

#[derive(Event, Serialize)]
struct Opened<'a> {
    owner: &'a str,
}

fn main() {}
