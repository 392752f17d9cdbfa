use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened { #[tag] owner: u32, #[tag] branch: u32 },
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "account", id = u32, event = AccountEvent)]
struct Account;

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

#[derive(Default)]
struct Owner;

impl Apply<AccountEvent> for Owner {
    fn apply(&mut self, _: &AccountEvent) {}
}

#[derive(Default)]
struct Branch;

impl Apply<AccountEvent> for Branch {
    fn apply(&mut self, _: &AccountEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Account, query = (Owner, Branch))]
struct Open {
    #[id]
    account: u32,
    #[tag(Owner)]
    owner: u32,
    
    branch: u32,
}

fn main() {}
