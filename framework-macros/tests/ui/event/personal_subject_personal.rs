use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum OrderEvent {
    Placed {
        #[personal(subject = note)]
        note: String,
    },
}

fn main() {}
