use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum PageEvent {
    HTTPSent,
    HttpSent,
}

fn main() {}
