use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CustomerEvent {
    #[personal]
    Registered { name: String },
}

fn main() {}
