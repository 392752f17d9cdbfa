use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "account", id = u32, event = AccountEvent)]
struct Account;

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, _: &AccountEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Account)]
struct Open {
    #[id]
    account: u32,
}

#[derive(Event, Serialize, Deserialize)]
enum LedgerEvent {
    Booked,
}

impl Decide for Open {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Account) -> Result<Events<LedgerEvent>, Self::Error> {
        Ok(LedgerEvent::Booked.into())
    }
}

fn main() {}
