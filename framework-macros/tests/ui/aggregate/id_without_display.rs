use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "account", id = AccountId, event = AccountEvent)]
struct Account;

struct AccountId(u32);

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

fn main() {}
