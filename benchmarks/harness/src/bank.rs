//! [`Bank`]: the domain that every framework implements.

use std::future::Future;

use anyhow::{Result, bail};

use crate::{Args, Scenario};

/// The text that pads each event to about 200 bytes, including its metadata.
pub const NOTE: &str = "the salary of the month, with the bonus that was promised for the last \
    quarter; the reference of the employer is the one that is given in the payslip text";

/// Bank accounts implemented with the measured framework.
///
/// Each deposit is one unit, so the balance of an account is the number of its events. Every decision
/// loads the balance and checks that it does not overflow.
pub trait Bank: Send + Sync + 'static {
    /// The name and the version of the framework.
    const SIDE: &'static str;

    /// Returns notes for readers of the figures: tuning, retries, limits of durability.
    fn note(&self, scenario: Scenario) -> String;

    /// Returns the reason why the framework does not support a measurement.
    fn unsupported(&self, _args: &Args) -> Option<&'static str> {
        None
    }

    /// Executes a command that emits `events` events, and retries it on conflict until it succeeds.
    fn deposit(&self, account: u64, events: usize) -> impl Future<Output = Result<()>> + Send;

    /// Executes one decision over both accounts that atomically emits one event on each.
    fn transfer(&self, _from: u64, _to: u64) -> impl Future<Output = Result<()>> + Send {
        async { bail!("the framework has no decisions over two accounts") }
    }

    /// Returns the balance of an account.
    fn load(&self, account: u64) -> impl Future<Output = Result<u64>> + Send;

    /// Runs a new projection over `events` stored events and returns the number that it handled.
    fn catch_up(&self, _events: usize) -> impl Future<Output = Result<usize>> + Send {
        async { bail!("the framework has no projections") }
    }

    /// Runs a new table projection over `events` stored events and returns the number that it applied.
    fn catch_up_table(&self, _events: usize) -> impl Future<Output = Result<usize>> + Send {
        async { bail!("the framework has no table projections") }
    }

    /// Runs maintenance after the preparation, such as updating statistics and vacuuming.
    fn settle(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Returns the number of tasks that prepare accounts in parallel.
    fn preparers(&self) -> usize {
        8
    }
}

impl Scenario {
    /// Returns whether a framework that supports snapshots should use them.
    pub fn wants_snapshots(self) -> bool {
        matches!(self, Self::Hot | Self::LoadSnapshot)
    }
}
