use std::future::Future;

use anyhow::{Result, bail};

use crate::{Args, Scenario};

/// What pads each event, so that it takes about 200 bytes with its metadata.
pub const NOTE: &str = "the salary of the month, with the bonus that was promised for the last \
    quarter; the reference of the employer is the one that stands on the payslip itself";

/// Bank accounts on the framework that is measured. A deposit is of one unit, so an account's balance
/// is the number of its events; every decision is taken on the loaded balance, which must not overflow.
pub trait Bank: Send + Sync + 'static {
    /// Name and version of the framework.
    const SIDE: &'static str;

    /// What a reader of the figures must know: tuning, retries, what is not durable.
    fn note(&self, scenario: Scenario) -> String;

    /// Why this framework cannot do what is asked for.
    fn unsupported(&self, _args: &Args) -> Option<&'static str> {
        None
    }

    /// One command that emits `events` events, tried again on conflict until it is acknowledged.
    fn deposit(&self, account: u64, events: usize) -> impl Future<Output = Result<()>> + Send;

    /// One decision over both accounts that emits one event on each, both stored or none.
    fn transfer(&self, _from: u64, _to: u64) -> impl Future<Output = Result<()>> + Send {
        async { bail!("no decision over two accounts") }
    }

    /// The balance of an account.
    fn load(&self, account: u64) -> impl Future<Output = Result<u64>> + Send;

    /// The number of events that a new projection has handled once it caught up with `events`.
    fn catch_up(&self, _events: usize) -> impl Future<Output = Result<usize>> + Send {
        async { bail!("no projection") }
    }

    /// The number of events that have had their effect on a table beside them, once a new projection caught up with `events`.
    fn catch_up_table(&self, _events: usize) -> impl Future<Output = Result<usize>> + Send {
        async { bail!("no projection into tables") }
    }

    /// Called once when everything is prepared: statistics, vacuum.
    fn settle(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// How many accounts are prepared at once.
    fn preparers(&self) -> usize {
        8
    }
}

impl Scenario {
    /// Whether a framework that has snapshots should use them.
    pub fn wants_snapshots(self) -> bool {
        matches!(self, Self::Hot | Self::LoadSnapshot)
    }
}
