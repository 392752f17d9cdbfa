use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CustomerEvent {
    Registered {
        #[personal]
        #[tag]
        email: String,
    },
}

fn main() {}
