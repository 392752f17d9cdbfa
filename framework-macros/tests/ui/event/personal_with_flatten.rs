use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum OrderEvent {
    Placed {
        #[personal]
        note: String,
        #[serde(flatten)]
        rest: Rest,
    },
}

#[derive(Serialize, Deserialize)]
struct Rest {
    total: u32,
}

fn main() {}
