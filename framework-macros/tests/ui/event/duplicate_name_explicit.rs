use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Opened,
    #[event(name = "account.opened")]
    Created {
        owner: String,
    },
}

fn main() {}
