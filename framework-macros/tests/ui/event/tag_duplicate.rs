use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CourseEvent {
    Opened {
        #[tag]
        #[tag("class")]
        course: u32,
    },
}

fn main() {}
