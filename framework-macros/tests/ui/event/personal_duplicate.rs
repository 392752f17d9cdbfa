use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum OrderEvent {
    Placed {
        #[personal]
        #[personal]
        note: String,
    },
}

fn main() {}
