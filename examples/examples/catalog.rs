//! Documentation of a bank, generated from its types: `cargo run --example catalog`.
//!
//! It prints Markdown with Mermaid diagrams.

use factum::prelude::*;
use factum::schema::catalog::{Catalog, States};
use factum_examples::outln;
use schemars::JsonSchema;

/// The number of an account.
#[derive(Id, Debug, Clone, Copy, JsonSchema)]
struct AccountId(u32);

/// An event of an account.
#[derive(Event, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "account")]
enum AccountEvent {
    /// The account was opened for a customer.
    Opened {
        /// The name of the customer.
        #[tag]
        customer: String,
    },
    /// Money was paid in.
    Deposited {
        /// The amount in cents.
        amount: u64,
        /// The purpose of the payment, as given by the payer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Money was paid out.
    Withdrawn {
        /// The amount in cents.
        amount: u64,
    },
    /// The account was closed.
    Closed {
        /// The former customer of the account.
        #[tag]
        customer: String,
        /// The reason.
        reason: Reason,
    },
}

/// The reason for closing an account.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// The customer requested it.
    Asked,
    /// The account was not used for ten years.
    Dormant,
}

/// An account of a customer. Its balance is never negative.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "account", id = AccountId, event = AccountEvent)]
struct Account {
    customer: Option<String>,
    balance: u64,
    closed: bool,
}

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { customer } => self.customer = Some(customer.clone()),
            AccountEvent::Deposited { amount, .. } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
            AccountEvent::Closed { .. } => self.closed = true,
        }
    }
}

impl Account {
    /// Returns the phase of the account, which is a state of the diagram.
    fn phase(&self) -> &'static str {
        match (&self.customer, self.closed, self.balance) {
            (None, ..) => "not open",
            (_, true, _) => "closed",
            (_, _, 0) => "open, empty",
            _ => "open, with money",
        }
    }

    fn holder(&self) -> Result<&String, AccountError> {
        match &self.customer {
            Some(customer) if !self.closed => Ok(customer),
            _ => Err(AccountError::NotOpen),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum AccountError {
    #[error("the account is not open")]
    NotOpen,
    #[error("the account was opened before")]
    AlreadyOpen,
    #[error("the balance does not allow this")]
    WrongBalance,
    #[error("the customer already has three accounts")]
    TooMany,
}

/// The number of open accounts of a customer.
#[derive(Default)]
struct Accounts(u32);

impl Apply<AccountEvent> for Accounts {
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { .. } => self.0 += 1,
            AccountEvent::Closed { .. } => self.0 -= 1,
            AccountEvent::Deposited { .. } | AccountEvent::Withdrawn { .. } => {}
        }
    }
}

/// Opens an account for a customer, who may have at most three.
#[derive(Command, Debug, Clone, Serialize, JsonSchema)]
#[command(on = Account, query = Accounts)]
struct Open {
    /// The number of the new account.
    #[id]
    account: AccountId,
    /// The name of the customer.
    #[tag]
    customer: String,
}

impl Decide for Open {
    type Error = AccountError;

    fn decide(
        &self,
        (account, accounts): (&Account, &Accounts),
    ) -> Result<Events<AccountEvent>, AccountError> {
        if account.customer.is_some() {
            return Err(AccountError::AlreadyOpen);
        }
        if accounts.0 >= 3 {
            return Err(AccountError::TooMany);
        }
        let customer = self.customer.clone();
        Ok(AccountEvent::Opened { customer }.into())
    }
}

/// Pays money into an account.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Account)]
struct Deposit {
    /// The account to pay into.
    #[id]
    account: AccountId,
    /// The amount in cents.
    amount: u64,
}

impl Decide for Deposit {
    type Error = AccountError;

    fn decide(&self, account: &Account) -> Result<Events<AccountEvent>, AccountError> {
        account.holder()?;
        let (amount, note) = (self.amount, None);
        Ok(AccountEvent::Deposited { amount, note }.into())
    }
}

/// Moves money from one account to another, as one decision.
#[derive(Command, Debug, Clone, Serialize, JsonSchema)]
#[command(on = (Account, Account))]
struct Transfer {
    /// The account that pays.
    #[id]
    from: AccountId,
    /// The account that is paid.
    #[id]
    to: AccountId,
    /// The amount in cents.
    amount: u64,
}

impl Decide for Transfer {
    type Error = AccountError;

    fn decide(&self, (from, to): (&Account, &Account)) -> Result<Both, AccountError> {
        from.holder()?;
        to.holder()?;
        if from.balance < self.amount {
            return Err(AccountError::WrongBalance);
        }
        let (amount, note) = (self.amount, Some("transfer".to_owned()));
        let withdrawn = AccountEvent::Withdrawn { amount };
        Ok((
            withdrawn.into(),
            AccountEvent::Deposited { amount, note }.into(),
        ))
    }
}

type Both = (Events<AccountEvent>, Events<AccountEvent>);

/// Closes an empty account.
#[derive(Command, Debug, Clone, Serialize, JsonSchema)]
#[command(on = Account)]
struct Close {
    /// The account to close.
    #[id]
    account: AccountId,
    /// The reason.
    reason: Reason,
}

impl Decide for Close {
    type Error = AccountError;

    fn decide(&self, account: &Account) -> Result<Events<AccountEvent>, AccountError> {
        let customer = account.holder()?.clone();
        let reason = self.reason;
        match account.balance {
            0 => Ok(AccountEvent::Closed { customer, reason }.into()),
            _ => Err(AccountError::WrongBalance),
        }
    }
}

/// The total balance of all accounts.
#[derive(Projection, Default)]
#[projection(name = "totals", events = AccountEvent)]
struct Totals {
    money: u64,
}

impl Project<AccountEvent> for Totals {
    fn project(&mut self, event: &Recorded<AccountEvent>) {
        match &event.event {
            AccountEvent::Deposited { amount, .. } => self.money += amount,
            AccountEvent::Withdrawn { amount } => self.money -= amount,
            AccountEvent::Opened { .. } | AccountEvent::Closed { .. } => {}
        }
    }
}

/// Pays five euros into every new account.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = AccountId, events = AccountEvent, commands = Deposit)]
struct Welcome;

impl Apply<AccountEvent> for Welcome {
    fn apply(&mut self, _: &AccountEvent) {}
}

impl React<AccountEvent> for Welcome {
    fn correlate(event: &Recorded<AccountEvent>) -> Correlation<AccountId> {
        match (&event.event, event.record.stream.key().parse()) {
            (AccountEvent::Opened { .. }, Ok(account)) => Correlation::Starts(account),
            _ => Correlation::Ignored,
        }
    }

    fn react(&self, event: &Recorded<AccountEvent>, then: &mut Reactions<Self>) {
        if let Ok(account) = event.record.stream.key().parse() {
            let amount = 500;
            then.send(Deposit { account, amount }).complete();
        }
    }
}

impl Respond for Welcome {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}
    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

fn main() {
    let (account, other, amount) = (AccountId(1), AccountId(2), 100);
    let customer = "Ada".to_owned();
    // The commands to try in every phase. The domain types determine the resulting events and phases.
    let life = States::of(Account::phase)
        .when(Open { account, customer })
        .when(Deposit { account, amount })
        .when(Transfer {
            from: account,
            to: other,
            amount,
        })
        .when(Close {
            account,
            reason: Reason::Asked,
        });
    let catalog = Catalog::new("Bank")
        .about("Accounts, and transfers between them.")
        .aggregate::<Account>()
        .command::<Open>()
        .command::<Deposit>()
        .command::<Transfer>()
        .command::<Close>()
        .projection::<Totals>()
        .process_manager::<Welcome>()
        .states(life);
    outln!("{}", catalog.to_markdown().trim_end());
}
