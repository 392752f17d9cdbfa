use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened { #[tag] owner: u32 },
    Closed { owner: u32 },
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "account", id = u32, event = AccountEvent)]
struct Account;

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Account, query = Account, events = AccountEvent::{Opened, Close})]
struct Open {
    #[id]
    account: u32,
    #[tag]
    owner: u32,
}

fn main() {}
