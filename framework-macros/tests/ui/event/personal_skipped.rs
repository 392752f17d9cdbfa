use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum OrderEvent {
    Placed {
        #[personal]
        #[serde(skip_serializing)]
        note: Option<String>,
    },
}

fn main() {}
