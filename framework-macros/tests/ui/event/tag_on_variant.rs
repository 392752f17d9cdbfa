use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CourseEvent {
    #[tag("course")]
    Opened { course: u32 },
}

fn main() {}
