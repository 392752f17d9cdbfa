//! A bank: accounts, transfers between them, and a limit of accounts per customer.

use factum::prelude::*;

#[derive(Id, Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountId(pub u32);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "account")]
pub enum AccountEvent {
    Opened {
        #[tag]
        customer: String,
    },
    Deposited {
        amount: u64,
    },
    Withdrawn {
        amount: u64,
    },
    Closed {
        #[tag]
        customer: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "account", id = AccountId, event = AccountEvent)]
pub struct Account {
    pub customer: Option<String>,
    pub balance: u64,
}

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { customer } => self.customer = Some(customer.clone()),
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
            AccountEvent::Closed { .. } => self.customer = None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AccountError {
    #[error("the account is not open")]
    NotOpen,
    #[error("insufficient balance: {balance}")]
    TooLittle { balance: u64 },
    #[error("the balance would exceed its maximum")]
    TooMuch,
    #[error("the account is not empty: balance {balance}")]
    NotEmpty { balance: u64 },
}

impl Account {
    fn holder(&self) -> Result<&String, AccountError> {
        self.customer.as_ref().ok_or(AccountError::NotOpen)
    }

    fn may_receive(&self, amount: u64) -> Result<(), AccountError> {
        self.holder()?;
        match self.balance.checked_add(amount) {
            Some(_) => Ok(()),
            None => Err(AccountError::TooMuch),
        }
    }

    fn may_pay(&self, amount: u64) -> Result<(), AccountError> {
        self.holder()?;
        match self.balance {
            balance if balance < amount => Err(AccountError::TooLittle { balance }),
            _ => Ok(()),
        }
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Account)]
pub struct Deposit {
    #[id]
    pub account: AccountId,
    pub amount: u64,
}

impl Decide for Deposit {
    type Error = AccountError;

    fn decide(&self, account: &Account) -> Result<Events<AccountEvent>, AccountError> {
        account.may_receive(self.amount)?;
        let amount = self.amount;
        Ok(AccountEvent::Deposited { amount }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Account)]
pub struct Withdraw {
    #[id]
    pub account: AccountId,
    pub amount: u64,
}

impl Decide for Withdraw {
    type Error = AccountError;

    fn decide(&self, account: &Account) -> Result<Events<AccountEvent>, AccountError> {
        account.may_pay(self.amount)?;
        let amount = self.amount;
        Ok(AccountEvent::Withdrawn { amount }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Account)]
pub struct Close {
    #[id]
    pub account: AccountId,
}

impl Decide for Close {
    type Error = AccountError;

    fn decide(&self, account: &Account) -> Result<Events<AccountEvent>, AccountError> {
        let customer = account.holder()?.clone();
        match account.balance {
            0 => Ok(AccountEvent::Closed { customer }.into()),
            balance => Err(AccountError::NotEmpty { balance }),
        }
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = (Account, Account))]
pub struct Transfer {
    #[id]
    pub from: AccountId,
    #[id]
    pub to: AccountId,
    pub amount: u64,
}

impl Decide for Transfer {
    type Error = AccountError;

    fn decide(&self, (from, to): (&Account, &Account)) -> Result<Both, AccountError> {
        from.may_pay(self.amount)?;
        to.may_receive(self.amount)?;
        let amount = self.amount;
        let withdrawn = AccountEvent::Withdrawn { amount };
        let deposited = AccountEvent::Deposited { amount };
        Ok((withdrawn.into(), deposited.into()))
    }
}

type Both = (Events<AccountEvent>, Events<AccountEvent>);

pub const MAX_ACCOUNTS: u32 = 3;

#[derive(Debug, Default)]
pub struct Customer {
    pub accounts: u32,
}

impl Apply<AccountEvent> for Customer {
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { .. } => self.accounts += 1,
            AccountEvent::Closed { .. } => self.accounts -= 1,
            AccountEvent::Deposited { .. } | AccountEvent::Withdrawn { .. } => {}
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OpenError {
    #[error("the account is already open")]
    AlreadyOpen,
    #[error("{customer} already has {MAX_ACCOUNTS} accounts")]
    TooManyAccounts { customer: String },
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Account, query = Customer)]
pub struct Open {
    #[id]
    pub account: AccountId,
    #[tag]
    pub customer: String,
}

impl Decide for Open {
    type Error = OpenError;

    fn decide(
        &self,
        (account, holder): (&Account, &Customer),
    ) -> Result<Events<AccountEvent>, OpenError> {
        let customer = self.customer.clone();
        if account.customer.is_some() {
            return Err(OpenError::AlreadyOpen);
        }
        if holder.accounts >= MAX_ACCOUNTS {
            return Err(OpenError::TooManyAccounts { customer });
        }
        Ok(AccountEvent::Opened { customer }.into())
    }
}
