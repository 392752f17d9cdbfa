use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use benchmark_harness::{Args, Scenario, anyhow::Result};
use cqrs_es::{
    EventEnvelope, Query,
    persist::{PersistedEventStore, QueryReplay},
};
use postgres_es::{PostgresEventRepository, default_postgress_pool};
use sqlx::PgPool;

use crate::{account::Account, bank::Backend};

pub struct Postgres {
    pool: PgPool,
    /// The number of events between two snapshots, if the scenario uses them.
    snapshots: Option<usize>,
}

impl Postgres {
    /// Creates the tables that `postgres-es` documents, or empties them.
    pub async fn open(url: &str, args: &Args) -> Result<Self> {
        let pool = default_postgress_pool(url).await;
        sqlx::raw_sql(include_str!("tables.sql"))
            .execute(&pool)
            .await?;
        let snapshots = match args.scenario {
            Scenario::Hot => Some(100),
            Scenario::LoadSnapshot => Some(args.size.clamp(1, 100)),
            _ => None,
        };
        Ok(Self { pool, snapshots })
    }

    fn repository(&self) -> PostgresEventRepository {
        PostgresEventRepository::new(self.pool.clone()).with_streaming_channel_size(1000)
    }
}

impl Backend for Postgres {
    type Store = PersistedEventStore<PostgresEventRepository, Account>;

    fn store(&self) -> Self::Store {
        match self.snapshots {
            Some(events) => PersistedEventStore::new_snapshot_store(self.repository(), events),
            None => PersistedEventStore::new_event_store(self.repository()),
        }
    }

    fn note(&self, scenario: Scenario) -> String {
        let more = match (scenario, self.snapshots) {
            (Scenario::Hot, Some(events)) => {
                format!("; a snapshot every {events} events; retries on conflict")
            }
            (_, Some(events)) => format!("; a snapshot every {events} events"),
            (Scenario::CatchUp, _) => "; replay_all through a channel of 1000".to_owned(),
            _ => String::new(),
        };
        format!("pool of 10, its default{more}")
    }

    fn unsupported(&self, _: Scenario) -> Option<&'static str> {
        None
    }

    async fn replay(&self) -> Result<usize> {
        let counter = Counter::default();
        QueryReplay::new(self.repository(), counter.clone())
            .replay_all()
            .await?;
        Ok(counter.0.load(Ordering::Relaxed))
    }

    async fn settle(&self) -> Result<()> {
        sqlx::query("VACUUM ANALYZE").execute(&self.pool).await?;
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

#[async_trait]
impl Query<Account> for Counter {
    async fn dispatch(&self, _: &str, events: &[EventEnvelope<Account>]) {
        self.0.fetch_add(events.len(), Ordering::Relaxed);
    }
}
