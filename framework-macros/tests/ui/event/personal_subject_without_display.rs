use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum OrderEvent {
    Placed {
        customer: Option<u32>,
        #[personal(subject = customer)]
        note: String,
    },
}

fn main() {}
