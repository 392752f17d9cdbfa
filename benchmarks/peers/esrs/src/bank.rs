use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use benchmark_harness::{Args, Bank, Scenario, anyhow::Result};
use esrs::{
    AggregateState,
    handler::{EventHandler, ReplayableEventHandler},
    manager::AggregateManager,
    rebuilder::{PgRebuilder, Rebuilder},
    store::{
        StoreEvent,
        postgres::{PgStore, PgStoreBuilder, PgStoreError},
    },
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::account::{Account, Deposit, Deposited};

pub struct EsrsBank {
    pool: PgPool,
    manager: AggregateManager<PgStore<Account>>,
}

impl EsrsBank {
    pub async fn open(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .connect(url)
            .await?;
        let store = PgStoreBuilder::new(pool.clone()).try_build().await?;
        sqlx::query("TRUNCATE account_events")
            .execute(&pool)
            .await?;
        let manager = AggregateManager::new(store);
        Ok(Self { pool, manager })
    }
}

impl Bank for EsrsBank {
    const SIDE: &'static str = "esrs 0.18.0";

    fn note(&self, scenario: Scenario) -> String {
        let more = match scenario {
            Scenario::Hot => "; optimistic, retries on conflict; it has no snapshots",
            Scenario::CatchUp => "; rebuilder, all events at once",
            _ => "",
        };
        format!("pool of 10{more}")
    }

    fn unsupported(&self, args: &Args) -> Option<&'static str> {
        match args.scenario {
            Scenario::Transfer => Some("a command applies to one aggregate"),
            Scenario::LoadSnapshot => Some("it has no snapshots"),
            _ => None,
        }
    }

    async fn deposit(&self, account: u64, events: usize) -> Result<()> {
        let id = id(account);
        loop {
            let state = self.manager.load(id).await?;
            let state = state.unwrap_or_else(|| AggregateState::with_id(id));
            match self.manager.handle_command(state, Deposit { events }).await {
                Err(error) if is_conflict(&error) => {}
                handled => return handled?.map(drop).map_err(Into::into),
            }
        }
    }

    async fn load(&self, account: u64) -> Result<u64> {
        let state = self.manager.load(id(account)).await?;
        Ok(state.map_or(0, AggregateState::into_inner))
    }

    async fn catch_up(&self, _: usize) -> Result<usize> {
        let counter = Counter::default();
        let rebuilder = PgRebuilder::<Account>::new();
        let rebuilder = rebuilder.with_event_handlers(vec![Box::new(counter.clone())]);
        rebuilder.all_at_once(self.pool.clone()).await?;
        Ok(counter.0.load(Ordering::Relaxed))
    }

    async fn settle(&self) -> Result<()> {
        sqlx::query("VACUUM ANALYZE").execute(&self.pool).await?;
        Ok(())
    }
}

/// Returns whether another command has stored an event with the same sequence number.
fn is_conflict(error: &PgStoreError) -> bool {
    let PgStoreError::Sqlx(sqlx::Error::Database(error)) = error else {
        return false;
    };
    error.is_unique_violation()
}

fn id(account: u64) -> Uuid {
    Uuid::from_u64_pair(account, account)
}

#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

#[async_trait]
impl EventHandler<Account> for Counter {
    async fn handle(&self, _: &StoreEvent<Deposited>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl ReplayableEventHandler<Account> for Counter {}
