use factum::prelude::*;

struct AccountEvent;

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "account", id = u32, event = AccountEvent)]
struct Account;

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

fn main() {}
