use benchmark_harness::{Args, Bank, Scenario, anyhow::Result};
use cqrs_es::{AggregateContext, AggregateError, CqrsFramework, EventStore};

use crate::account::{Account, Deposit};

/// The parts that differ between the stores of `cqrs-es`.
pub trait Backend: Send + Sync + 'static {
    type Store: EventStore<Account, AC: Send> + 'static;

    /// Returns another handle on the store, because the framework does not expose its own.
    fn store(&self) -> Self::Store;

    /// Returns notes for readers of the figures.
    fn note(&self, scenario: Scenario) -> String;

    fn unsupported(&self, scenario: Scenario) -> Option<&'static str>;

    /// Replays all events and returns the number that a query counted.
    fn replay(&self) -> impl Future<Output = Result<usize>> + Send;

    fn settle(&self) -> impl Future<Output = Result<()>> + Send;
}

pub struct CqrsEsBank<B: Backend> {
    backend: B,
    store: B::Store,
    framework: CqrsFramework<Account, B::Store>,
}

impl<B: Backend> CqrsEsBank<B> {
    pub fn new(backend: B) -> Self {
        let framework = CqrsFramework::new(backend.store(), vec![], ());
        Self {
            framework,
            store: backend.store(),
            backend,
        }
    }
}

impl<B: Backend> Bank for CqrsEsBank<B> {
    const SIDE: &'static str = "cqrs-es 0.5.0";

    fn note(&self, scenario: Scenario) -> String {
        self.backend.note(scenario)
    }

    fn unsupported(&self, args: &Args) -> Option<&'static str> {
        match args.scenario {
            Scenario::Transfer => Some("a command applies to one aggregate"),
            scenario => self.backend.unsupported(scenario),
        }
    }

    async fn deposit(&self, account: u64, events: usize) -> Result<()> {
        let account = name(account);
        loop {
            match self.framework.execute(&account, Deposit { events }).await {
                Err(AggregateError::AggregateConflict) => {}
                done => return Ok(done?),
            }
        }
    }

    async fn load(&self, account: u64) -> Result<u64> {
        Ok(self
            .store
            .load_aggregate(&name(account))
            .await?
            .aggregate()
            .balance)
    }

    async fn catch_up(&self, _: usize) -> Result<usize> {
        self.backend.replay().await
    }

    async fn settle(&self) -> Result<()> {
        self.backend.settle().await
    }
}

fn name(account: u64) -> String {
    format!("account-{account}")
}
