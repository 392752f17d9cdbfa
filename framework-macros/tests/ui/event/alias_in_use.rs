use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Opened,
    #[event(alias = "account.opened")]
    Begun,
}

fn main() {}
