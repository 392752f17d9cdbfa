//! A bank whose accounts have snapshots or not, depending on a const parameter.

use factum::command::SnapshotPolicy;
use factum::prelude::*;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "account")]
pub(crate) enum AccountEvent {
    Opened { limit: u64 },
    Deposited { amount: u64 },
    Withdrawn { amount: u64 },
}

/// An account with a snapshot every `EVERY` events, or none if `EVERY` is 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account<const EVERY: u64> {
    pub(crate) open: bool,
    pub(crate) limit: u64,
    pub(crate) balance: u64,
}

impl<const EVERY: u64> Aggregate for Account<EVERY> {
    type Id = u8;
    type Event = AccountEvent;
    type Applied = AccountEvent;
    const CATEGORY: &'static str = "account";
    const SNAPSHOT: Option<SnapshotPolicy<Self>> = match EVERY {
        0 => None,
        every => Some(SnapshotPolicy::json(every, 1)),
    };
}

impl<const EVERY: u64> Apply<AccountEvent> for Account<EVERY> {
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { limit } => (self.open, self.limit) = (true, *limit),
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the account is already open with another limit")]
    Open,
    #[error("account {0} is not open")]
    NotOpen(u8),
    #[error("insufficient balance: {0}")]
    Insufficient(u64),
}

/// Opens an account with a limit. Does nothing if the account is already open with this limit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Open<const EVERY: u64>(pub(crate) u8, pub(crate) u64);

/// Deposits an amount, with one event for each note of at most ten.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Deposit<const EVERY: u64>(pub(crate) u8, pub(crate) u64);

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Withdraw<const EVERY: u64>(pub(crate) u8, pub(crate) u64);

/// Moves an amount from the first account to the second. Does nothing if the amount is 0.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Transfer<const EVERY: u64>(pub(crate) u8, pub(crate) u8, pub(crate) u64);

/// Deposits the difference between limit and balance of the first account into the second account.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bonus<const EVERY: u64>(pub(crate) u8, pub(crate) u8);

macro_rules! commands {
    ($($command:ident on $on:ty: $target:expr;)*) => {$(
        impl<const EVERY: u64> Command for $command<EVERY> {
            const NAME: &'static str = stringify!($command);
            type On = $on;

            fn target(&self) -> <Self::On as factum::command::Boundary>::Target<'_> {
                let target: fn(&Self) -> <Self::On as factum::command::Boundary>::Target<'_> = $target;
                target(self)
            }
        }
    )*};
}

commands! {
    Open on Account<EVERY>: |command| &command.0;
    Deposit on Account<EVERY>: |command| &command.0;
    Withdraw on Account<EVERY>: |command| &command.0;
    Transfer on (Account<EVERY>, Account<EVERY>): |command| (&command.0, &command.1);
    Bonus on (Account<EVERY>, Account<EVERY>): |command| (&command.0, &command.1);
}

impl<const EVERY: u64> Decide for Open<EVERY> {
    type Error = Rejection;

    fn decide(&self, account: &Account<EVERY>) -> Result<Events<AccountEvent>, Rejection> {
        match (account.open, account.limit == self.1) {
            (false, _) => Ok(AccountEvent::Opened { limit: self.1 }.into()),
            (true, true) => Ok(Events::none()),
            (true, false) => Err(Rejection::Open),
        }
    }
}

impl<const EVERY: u64> Decide for Deposit<EVERY> {
    type Error = Rejection;

    fn decide(&self, account: &Account<EVERY>) -> Result<Events<AccountEvent>, Rejection> {
        let open = account.open.then_some(()).ok_or(Rejection::NotOpen(self.0));
        let notes = (0..self.1).step_by(10).map(|paid| AccountEvent::Deposited {
            amount: (self.1 - paid).min(10),
        });
        open.map(|()| notes.collect())
    }
}

impl<const EVERY: u64> Decide for Withdraw<EVERY> {
    type Error = Rejection;

    fn decide(&self, account: &Account<EVERY>) -> Result<Events<AccountEvent>, Rejection> {
        if account.balance < self.1 {
            return Err(Rejection::Insufficient(account.balance));
        }
        Ok(AccountEvent::Withdrawn { amount: self.1 }.into())
    }
}

type Two = (Events<AccountEvent>, Events<AccountEvent>);

impl<const EVERY: u64> Decide for Transfer<EVERY> {
    type Error = Rejection;

    fn decide(&self, (from, to): (&Account<EVERY>, &Account<EVERY>)) -> Result<Two, Rejection> {
        let amount = self.2;
        match (amount, to.open, from.balance < amount) {
            (0, ..) => Ok((Events::none(), Events::none())),
            (_, false, _) => Err(Rejection::NotOpen(self.1)),
            (_, _, true) => Err(Rejection::Insufficient(from.balance)),
            _ => Ok((
                AccountEvent::Withdrawn { amount }.into(),
                AccountEvent::Deposited { amount }.into(),
            )),
        }
    }
}

impl<const EVERY: u64> Decide for Bonus<EVERY> {
    type Error = Rejection;

    fn decide(&self, (of, to): (&Account<EVERY>, &Account<EVERY>)) -> Result<Two, Rejection> {
        if !to.open {
            return Err(Rejection::NotOpen(self.1));
        }
        match of.limit.saturating_sub(of.balance) {
            0 => Ok((Events::none(), Events::none())),
            amount => Ok((Events::none(), AccountEvent::Deposited { amount }.into())),
        }
    }
}
