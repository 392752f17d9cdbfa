use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use benchmark_harness::{
    Args, Bank, Scenario,
    anyhow::{Context, Result},
};
use eventcore::{CommandError, CommandLogic, RetryPolicy, StreamId, execute};
use eventcore_types::{EventReader, EventStore};

use crate::{
    command::{Deposit, Transfer},
    projection,
};

/// Maintenance of the database tables before a measurement.
pub type Settle = Box<dyn Fn() -> futures::future::BoxFuture<'static, Result<()>> + Send + Sync>;

pub struct EventcoreBank<S> {
    store: Arc<S>,
    snapshots: bool,
    tuning: String,
    settle: Option<Settle>,
}

impl<S> EventcoreBank<S> {
    pub fn new(store: S, args: &Args, tuning: &str, settle: Option<Settle>) -> Self {
        let snapshots = args.scenario.wants_snapshots();
        Self {
            store: Arc::new(store),
            snapshots,
            tuning: tuning.to_owned(),
            settle,
        }
    }
}

impl<S: EventStore + Sync> EventcoreBank<S> {
    /// Executes a command until it succeeds.
    ///
    /// The default policy retries a conflict four times, so a caller must issue the command again after that.
    async fn execute<C: CommandLogic>(&self, command: impl Fn() -> C) -> Result<()> {
        loop {
            match execute(&*self.store, command(), RetryPolicy::new()).await {
                Err(CommandError::ConcurrencyError(_)) => {}
                done => return done.map(drop).context("cannot execute a command"),
            }
        }
    }

    async fn on_one(&self, account: u64, events: usize) -> Result<u64> {
        let balance = Arc::new(AtomicU64::new(0));
        let account = stream(account)?;
        let deposit = || Deposit {
            account: account.clone(),
            events,
            snapshots: self.snapshots,
            balance: balance.clone(),
        };
        self.execute(deposit).await?;
        Ok(balance.load(Ordering::Relaxed))
    }
}

impl<S> Bank for EventcoreBank<S>
where
    S: EventStore + EventReader + Send + Sync + 'static,
    <S as EventReader>::Error: std::fmt::Display + Send,
{
    const SIDE: &'static str = "eventcore 2.1.0";

    fn note(&self, scenario: Scenario) -> String {
        let more = match scenario {
            Scenario::Hot => {
                "; default RetryPolicy, another execution after its 4 retries; command-state \
                 snapshots (from 100 events on, then saved with each command)"
            }
            Scenario::LoadSnapshot => "; command-state snapshots",
            Scenario::CatchUp => "; pages of 1000, a checkpoint in memory after each event",
            _ => "",
        };
        format!("{}{more}", self.tuning)
    }

    fn unsupported(&self, args: &Args) -> Option<&'static str> {
        (args.scenario == Scenario::LoadSnapshot && args.size < 100)
            .then_some("it stores no snapshot before 100 events")
    }

    async fn deposit(&self, account: u64, events: usize) -> Result<()> {
        self.on_one(account, events).await.map(drop)
    }

    async fn transfer(&self, from: u64, to: u64) -> Result<()> {
        let (from, to) = (stream(from)?, stream(to)?);
        self.execute(|| Transfer {
            from: from.clone(),
            to: to.clone(),
        })
        .await
    }

    async fn load(&self, account: u64) -> Result<u64> {
        self.on_one(account, 0).await
    }

    async fn catch_up(&self, events: usize) -> Result<usize> {
        projection::count(self.store.clone(), events).await
    }

    async fn settle(&self) -> Result<()> {
        match &self.settle {
            Some(settle) => settle().await,
            None => Ok(()),
        }
    }
}

fn stream(account: u64) -> Result<StreamId> {
    Ok(StreamId::try_new(format!("account-{account}"))?)
}
