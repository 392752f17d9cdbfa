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
#[command(on = Account, now)]
struct Open {
    #[id]
    account: u32,
}

impl Decide for Open {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Account) -> Result<Events<AccountEvent>, Self::Error> {
        Ok(AccountEvent::Opened.into())
    }
}

fn main() {}
