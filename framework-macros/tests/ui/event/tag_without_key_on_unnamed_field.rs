use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CourseEvent {
    Opened(#[tag] u32),
}

fn main() {}
