use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum OrderEvent {
    Placed {
        customer: u32,
        #[personal(subject = "customer")]
        note: String,
    },
}

fn main() {}
