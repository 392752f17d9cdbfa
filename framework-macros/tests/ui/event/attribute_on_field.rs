use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened {
        #[event(name = "owner")]
        owner: String,
    },
}

fn main() {}
