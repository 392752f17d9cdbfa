use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum CustomerEvent {
    Registered {
        #[personal]
        year_of_birth: u32,
    },
}

fn main() {}
