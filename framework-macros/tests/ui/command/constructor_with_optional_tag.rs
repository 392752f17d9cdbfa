use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Moved { #[tag("account")] from: u32, #[tag("account")] to: u32 },
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "account", id = u32, event = AccountEvent)]
struct Account;

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

struct Balance(u32);

impl Balance {
    fn of(account: &u32) -> Self {
        Self(*account)
    }

    fn find(account: &u32) -> Option<Self> {
        Some(Self(*account))
    }
}

impl Apply<AccountEvent> for Balance {
    fn apply(&mut self, _: &AccountEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Account, query = Balance::of)]
struct Open {
    #[id]
    number: u32,
    #[tag("account")]
    from: u32,
    #[tag("account")]
    to: Option<u32>,
}

fn main() {}
