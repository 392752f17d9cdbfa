//! What the bank must do, in plain Rust: a list of what happened, and rules that look at it.

use std::collections::HashMap;

use crate::bank::{AccountEvent, Rejection};

/// What is asked of the bank; the same for every way to build it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ask {
    Open(u8, u64),
    Deposit(u8, u64),
    Withdraw(u8, u64),
    Transfer(u8, u8, u64),
    Bonus(u8, u8),
}

impl Ask {
    /// The accounts that it looks at.
    pub(crate) fn looks_at(self) -> Vec<u8> {
        match self {
            Self::Open(account, _) | Self::Deposit(account, _) | Self::Withdraw(account, _) => {
                vec![account]
            }
            Self::Transfer(from, to, _) | Self::Bonus(from, to) => vec![from, to],
        }
    }
}

/// How it is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) ask: Ask,
    pub(crate) key: Option<u8>,
    /// How far the version that the caller expects is from the first account's.
    pub(crate) expecting: Option<i64>,
    /// Which of the engines is asked.
    pub(crate) engine: usize,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Done(Done),
    Rejected(Rejection),
    /// The first account, what was expected of it, and its version.
    Conflict(u8, u64, u64),
    DuplicateStream(u8),
    KeyReused(u8),
}

/// A receipt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Done {
    pub(crate) position: u64,
    pub(crate) versions: Vec<(u8, u64)>,
    pub(crate) events: Vec<(u8, AccountEvent)>,
    pub(crate) repeated: bool,
}

/// An account as the model sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Book {
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) balance: u64,
}

/// Everything that has happened; the first stands at position 1.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) log: Vec<(u8, AccountEvent)>,
    keys: HashMap<u8, (Ask, Done)>,
}

impl Model {
    /// `account` behind the first `count` of everything that happened.
    pub(crate) fn book(&self, account: u8, count: usize) -> Book {
        let mut book = Book::default();
        for (position, (of, event)) in (1..).zip(&self.log[..count]) {
            if *of != account {
                continue;
            }
            (book.version, book.position) = (book.version + 1, position);
            match event {
                AccountEvent::Opened { limit } => book.limit = Some(*limit),
                AccountEvent::Deposited { amount } => book.balance += amount,
                AccountEvent::Withdrawn { amount } => book.balance -= amount,
            }
        }
        book
    }

    pub(crate) fn now(&self, account: u8) -> Book {
        self.book(account, self.log.len())
    }

    /// The version that the caller of `step` expects of its first account.
    pub(crate) fn expected(&self, step: &Step) -> Option<u64> {
        let actual = self.now(step.ask.looks_at()[0]).version;
        step.expecting.map(|off| actual.saturating_add_signed(off))
    }

    /// Does what the bank must do.
    pub(crate) fn take(&mut self, step: &Step) -> Outcome {
        let accounts = step.ask.looks_at();
        if accounts.len() == 2 && accounts[0] == accounts[1] {
            return Outcome::DuplicateStream(accounts[0]);
        }
        match step.key.and_then(|key| self.keys.get(&key)) {
            Some((first, done)) if *first == step.ask => {
                return Outcome::Done(Done {
                    repeated: true,
                    ..done.clone()
                });
            }
            Some(_) => return Outcome::KeyReused(step.key.unwrap_or_default()),
            None => {}
        }
        let actual = self.now(accounts[0]).version;
        if let Some(expected) = self.expected(step).filter(|expected| *expected != actual) {
            return Outcome::Conflict(accounts[0], expected, actual);
        }
        let events = match self.decide(step.ask) {
            Ok(events) => events,
            Err(rejection) => return Outcome::Rejected(rejection),
        };
        let mut done = self.done(&accounts, events);
        if let Some(key) = step.key {
            done.position = self.log.len() as u64;
            self.keys.insert(key, (step.ask, done.clone()));
        }
        Outcome::Done(done)
    }

    fn decide(&self, ask: Ask) -> Result<Vec<(u8, AccountEvent)>, Rejection> {
        let open = |account| match self.now(account).limit {
            Some(_) => Ok(()),
            None => Err(Rejection::NotOpen(account)),
        };
        let has = |account, amount| match self.now(account).balance {
            balance if balance >= amount => Ok(()),
            balance => Err(Rejection::Insufficient(balance)),
        };
        match ask {
            Ask::Open(account, limit) => match self.now(account).limit {
                None => Ok(vec![(account, AccountEvent::Opened { limit })]),
                Some(same) if same == limit => Ok(Vec::new()),
                Some(_) => Err(Rejection::Open),
            },
            Ask::Deposit(account, amount) => {
                open(account)?;
                let notes = (0..amount / 10).map(|_| 10).chain([amount % 10]);
                let notes = notes.filter(|note| *note > 0);
                Ok(notes
                    .map(|amount| (account, AccountEvent::Deposited { amount }))
                    .collect())
            }
            Ask::Withdraw(account, amount) => {
                has(account, amount)?;
                Ok(vec![(account, AccountEvent::Withdrawn { amount })])
            }
            Ask::Transfer(_, _, 0) => Ok(Vec::new()),
            Ask::Transfer(from, to, amount) => {
                open(to)?;
                has(from, amount)?;
                let paid = (from, AccountEvent::Withdrawn { amount });
                Ok(vec![paid, (to, AccountEvent::Deposited { amount })])
            }
            Ask::Bonus(of, to) => {
                open(to)?;
                let of = self.now(of);
                let amount = of.limit.unwrap_or(0).saturating_sub(of.balance);
                let gift = (amount > 0).then_some((to, AccountEvent::Deposited { amount }));
                Ok(gift.into_iter().collect())
            }
        }
    }

    /// The receipt for `events`, which have happened with it.
    fn done(&mut self, accounts: &[u8], events: Vec<(u8, AccountEvent)>) -> Done {
        self.log.extend(events.iter().cloned());
        let versions = accounts
            .iter()
            .map(|account| (*account, self.now(*account).version));
        let versions = versions.collect();
        let newest = accounts.iter().map(|account| self.now(*account).position);
        Done {
            position: newest.max().unwrap_or(0),
            versions,
            events,
            repeated: false,
        }
    }
}
