//! The bank's documentation, out of its types: `cargo run --example catalog`.
//!
//! What it prints is Markdown with diagrams: paste it into whatever draws Mermaid.

use factum::prelude::*;
use factum::schema::catalog::{Catalog, States};
use factum_examples::say;
use schemars::JsonSchema;

/// What tells one account from another.
#[derive(Id, Debug, Clone, Copy, JsonSchema)]
struct AccountId(u32);

/// What happens to an account.
#[derive(Event, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "account")]
enum AccountEvent {
    /// A customer has it from now on.
    Opened {
        /// Who.
        #[tag]
        customer: String,
    },
    /// Money came in.
    Deposited {
        /// In cents.
        amount: u64,
        /// What for, in the words of whoever paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Money went out.
    Withdrawn {
        /// In cents.
        amount: u64,
    },
    /// Nobody has it any more.
    Closed {
        /// Who had it.
        #[tag]
        customer: String,
        /// Why.
        reason: Reason,
    },
}

/// Why an account is closed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// The customer asked for it.
    Asked,
    /// Nothing had happened for ten years.
    Dormant,
}

/// The money of one customer. It never holds less than nothing.
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
    /// The phases of an account's life: what the diagram shows.
    fn phase(&self) -> &'static str {
        match (&self.customer, self.closed, self.balance) {
            (None, ..) => "not there",
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
    #[error("the account was open before")]
    AlreadyOpen,
    #[error("that is not in the account")]
    WrongBalance,
    #[error("three accounts are enough")]
    TooMany,
}

/// How many accounts a customer has.
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

/// Gives a customer an account, three at most.
#[derive(Command, Debug, Clone, Serialize, JsonSchema)]
#[command(on = Account, query = Accounts)]
struct Open {
    /// A new one.
    #[id]
    account: AccountId,
    /// Who.
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

/// Pays money in.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Account)]
struct Deposit {
    /// Where to.
    #[id]
    account: AccountId,
    /// In cents.
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

/// Moves money from one account to another: both, or none.
#[derive(Command, Debug, Clone, Serialize, JsonSchema)]
#[command(on = (Account, Account))]
struct Transfer {
    /// Who pays.
    #[id]
    from: AccountId,
    /// Who is paid.
    #[id]
    to: AccountId,
    /// In cents.
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

/// Ends an account that is empty.
#[derive(Command, Debug, Clone, Serialize, JsonSchema)]
#[command(on = Account)]
struct Close {
    /// Which one.
    #[id]
    account: AccountId,
    /// Why.
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

/// What the bank as a whole holds.
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

/// Puts five euros into every new account.
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
    // The commands that are tried in every phase; which ones lead where is what the types do.
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
        .about("Accounts, and money that moves between them.")
        .aggregate::<Account>()
        .command::<Open>()
        .command::<Deposit>()
        .command::<Transfer>()
        .command::<Close>()
        .projection::<Totals>()
        .process_manager::<Welcome>()
        .states(life);
    say!("{}", catalog.to_markdown().trim_end());
}
