use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum OrderEvent {
    Placed {
        #[personal(subject = customer)]
        note: String,
    },
}

fn main() {}
