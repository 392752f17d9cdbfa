use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CourseEvent {
    Opened {
        #[tag]
        course: CourseId,
    },
}

#[derive(Serialize, Deserialize)]
struct CourseId(u32);

fn main() {}
