use benchmark_harness::NOTE;
use disintegrate::{Decision, Event, StateMutate, StateQuery, serde::json::Json};
use disintegrate_postgres::PgEventStore;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Event, Serialize, Deserialize)]
pub enum BankEvent {
    Deposited {
        #[id]
        account: String,
        amount: u64,
        note: String,
    },
}

pub type Store = PgEventStore<BankEvent, Json<BankEvent>>;

fn deposited(account: &str) -> BankEvent {
    BankEvent::Deposited {
        account: account.to_owned(),
        amount: 1,
        note: NOTE.to_owned(),
    }
}

#[derive(Debug, Clone, StateQuery, Serialize, Deserialize)]
#[state_query(BankEvent)]
pub struct Account {
    #[id]
    account: String,
    pub balance: u64,
}

impl Account {
    pub fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            balance: 0,
        }
    }
}

impl StateMutate for Account {
    fn mutate(&mut self, event: BankEvent) {
        let BankEvent::Deposited { amount, .. } = event;
        self.balance += amount;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the balance overflows")]
pub struct Overflow;

/// Emits `events` deposits.
pub struct Deposit<'a> {
    pub account: &'a str,
    pub events: usize,
}

impl Decision for Deposit<'_> {
    type Event = BankEvent;
    type StateQuery = Account;
    type Error = Overflow;

    fn state_query(&self) -> Account {
        Account::new(self.account)
    }

    fn process(&self, state: &Account) -> Result<Vec<BankEvent>, Overflow> {
        state
            .balance
            .checked_add(self.events as u64)
            .ok_or(Overflow)?;
        Ok(vec![deposited(self.account); self.events])
    }
}

/// Emits one deposit on each of two accounts.
pub struct Transfer<'a> {
    pub from: &'a str,
    pub to: &'a str,
}

impl Decision for Transfer<'_> {
    type Event = BankEvent;
    type StateQuery = (Account, Account);
    type Error = Overflow;

    fn state_query(&self) -> (Account, Account) {
        (Account::new(self.from), Account::new(self.to))
    }

    fn process(&self, (from, to): &(Account, Account)) -> Result<Vec<BankEvent>, Overflow> {
        from.balance.checked_add(1).ok_or(Overflow)?;
        to.balance.checked_add(1).ok_or(Overflow)?;
        Ok(vec![deposited(self.from), deposited(self.to)])
    }
}
