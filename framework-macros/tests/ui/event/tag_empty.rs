use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CourseEvent {
    Opened {
        #[tag("")]
        course: u32,
    },
}

fn main() {}
