//! The domain that is measured.

use factum::prelude::*;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "account")]
pub enum AccountEvent {
    Deposited { amount: u64 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "account", id = u64, event = AccountEvent)]
pub struct Account {
    balance: u64,
}

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, event: &AccountEvent) {
        let AccountEvent::Deposited { amount } = event;
        self.balance += amount;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Account)]
pub struct Deposit {
    #[id]
    pub account: u64,
    pub amount: u64,
}

impl Decide for Deposit {
    type Error = std::convert::Infallible;

    fn decide(&self, account: &Account) -> Result<Events<AccountEvent>, Self::Error> {
        let amount = self.amount.min(u64::MAX - account.balance);
        Ok(AccountEvent::Deposited { amount }.into())
    }
}
