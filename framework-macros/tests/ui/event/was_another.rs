use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Opened,
    #[event(was = "account.opened")]
    Begun,
}

fn main() {}
