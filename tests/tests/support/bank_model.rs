//! A reference model of the bank in plain Rust: a list of events, and rules that scan it.

use std::collections::HashMap;

use crate::bank::{AccountEvent, Rejection};

/// A request to the bank, which does not depend on the snapshot interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Request {
    Open(u8, u64),
    Deposit(u8, u64),
    Withdraw(u8, u64),
    Transfer(u8, u8, u64),
    Bonus(u8, u8),
}

impl Request {
    /// Returns the accounts that the request reads.
    pub(crate) fn accounts(self) -> Vec<u8> {
        match self {
            Self::Open(account, _) | Self::Deposit(account, _) | Self::Withdraw(account, _) => {
                vec![account]
            }
            Self::Transfer(from, to, _) | Self::Bonus(from, to) => vec![from, to],
        }
    }
}

/// A request with its options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) request: Request,
    pub(crate) key: Option<u8>,
    /// The difference between the expected version and the version of the first account.
    pub(crate) version_offset: Option<i64>,
    /// The index of the engine that executes the request.
    pub(crate) engine: usize,
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Done(Done),
    Rejected(Rejection),
    /// The first account, its expected version, and its version.
    Conflict(u8, u64, u64),
    DuplicateStream(u8),
    KeyReused(u8),
}

/// The contents of a receipt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Done {
    pub(crate) position: u64,
    pub(crate) versions: Vec<(u8, u64)>,
    pub(crate) events: Vec<(u8, AccountEvent)>,
    pub(crate) repeated: bool,
}

/// The state of an account in the model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct AccountState {
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) balance: u64,
}

/// The reference model. The first event of its log has position 1.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) log: Vec<(u8, AccountEvent)>,
    keys: HashMap<u8, (Request, Done)>,
}

impl Model {
    /// Returns the state of `account` after the first `count` events.
    pub(crate) fn state_after(&self, account: u8, count: usize) -> AccountState {
        let mut state = AccountState::default();
        for (position, (of, event)) in (1..).zip(&self.log[..count]) {
            if *of != account {
                continue;
            }
            (state.version, state.position) = (state.version + 1, position);
            match event {
                AccountEvent::Opened { limit } => state.limit = Some(*limit),
                AccountEvent::Deposited { amount } => state.balance += amount,
                AccountEvent::Withdrawn { amount } => state.balance -= amount,
            }
        }
        state
    }

    pub(crate) fn current(&self, account: u8) -> AccountState {
        self.state_after(account, self.log.len())
    }

    /// Returns the version that `step` expects of its first account.
    pub(crate) fn expected_version(&self, step: &Step) -> Option<u64> {
        let actual = self.current(step.request.accounts()[0]).version;
        step.version_offset
            .map(|off| actual.saturating_add_signed(off))
    }

    /// Executes `step` and returns the expected outcome.
    pub(crate) fn execute(&mut self, step: &Step) -> Outcome {
        let accounts = step.request.accounts();
        if accounts.len() == 2 && accounts[0] == accounts[1] {
            return Outcome::DuplicateStream(accounts[0]);
        }
        match step.key.and_then(|key| self.keys.get(&key)) {
            Some((first, done)) if *first == step.request => {
                return Outcome::Done(Done {
                    repeated: true,
                    ..done.clone()
                });
            }
            Some(_) => return Outcome::KeyReused(step.key.unwrap_or_default()),
            None => {}
        }
        let actual = self.current(accounts[0]).version;
        if let Some(expected) = self
            .expected_version(step)
            .filter(|expected| *expected != actual)
        {
            return Outcome::Conflict(accounts[0], expected, actual);
        }
        let events = match self.decide(step.request) {
            Ok(events) => events,
            Err(rejection) => return Outcome::Rejected(rejection),
        };
        let mut done = self.append(&accounts, events);
        if let Some(key) = step.key {
            done.position = self.log.len() as u64;
            self.keys.insert(key, (step.request, done.clone()));
        }
        Outcome::Done(done)
    }

    fn decide(&self, request: Request) -> Result<Vec<(u8, AccountEvent)>, Rejection> {
        let open = |account| match self.current(account).limit {
            Some(_) => Ok(()),
            None => Err(Rejection::NotOpen(account)),
        };
        let has = |account, amount| match self.current(account).balance {
            balance if balance >= amount => Ok(()),
            balance => Err(Rejection::Insufficient(balance)),
        };
        match request {
            Request::Open(account, limit) => match self.current(account).limit {
                None => Ok(vec![(account, AccountEvent::Opened { limit })]),
                Some(same) if same == limit => Ok(Vec::new()),
                Some(_) => Err(Rejection::Open),
            },
            Request::Deposit(account, amount) => {
                open(account)?;
                let notes = (0..amount / 10).map(|_| 10).chain([amount % 10]);
                let notes = notes.filter(|note| *note > 0);
                Ok(notes
                    .map(|amount| (account, AccountEvent::Deposited { amount }))
                    .collect())
            }
            Request::Withdraw(account, amount) => {
                has(account, amount)?;
                Ok(vec![(account, AccountEvent::Withdrawn { amount })])
            }
            Request::Transfer(_, _, 0) => Ok(Vec::new()),
            Request::Transfer(from, to, amount) => {
                open(to)?;
                has(from, amount)?;
                let paid = (from, AccountEvent::Withdrawn { amount });
                Ok(vec![paid, (to, AccountEvent::Deposited { amount })])
            }
            Request::Bonus(of, to) => {
                open(to)?;
                let of = self.current(of);
                let amount = of.limit.unwrap_or(0).saturating_sub(of.balance);
                let gift = (amount > 0).then_some((to, AccountEvent::Deposited { amount }));
                Ok(gift.into_iter().collect())
            }
        }
    }

    /// Adds `events` to the log and returns their receipt.
    fn append(&mut self, accounts: &[u8], events: Vec<(u8, AccountEvent)>) -> Done {
        self.log.extend(events.iter().cloned());
        let versions = accounts
            .iter()
            .map(|account| (*account, self.current(*account).version));
        let versions = versions.collect();
        let positions = accounts
            .iter()
            .map(|account| self.current(*account).position);
        Done {
            position: positions.max().unwrap_or(0),
            versions,
            events,
            repeated: false,
        }
    }
}
