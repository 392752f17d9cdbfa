//! [`FactumBank`]: the accounts of the harness on an engine.

use anyhow::{Context as _, Result};
use benchmark_harness::{Args, Bank, Database, Scenario};
use factum::Position;
use factum::prelude::*;
use factum_memory::MemoryStore;
use factum_postgres::PostgresStore;
use factum_sqlite::SqliteStore;

use crate::domain::{plain, snapshotted};
use crate::tables::Tables;

/// `WARM`: states are kept in memory, as an engine does by default; otherwise every command reads its events.
pub struct FactumBank<const WARM: bool> {
    engine: Engine,
    /// `None`: in memory.
    tables: Option<Tables>,
    snapshots: bool,
}

impl<const WARM: bool> FactumBank<WARM> {
    pub async fn open(args: &Args) -> Result<Self> {
        let (builder, tables) = match &args.database {
            Database::Memory => (Engine::builder(MemoryStore::new()), None),
            Database::Sqlite(path) => {
                let store = SqliteStore::open(path).await?;
                (Engine::builder(store.clone()), Some(Tables::Sqlite(store)))
            }
            Database::Postgres(url) => {
                let store = PostgresStore::open(url).await?;
                let tables = Tables::Postgres(store.clone());
                (Engine::builder(store), Some(tables))
            }
        };
        let engine = match WARM {
            true => builder.build(),
            false => builder.cache_capacity(0).build(),
        };
        Ok(Self {
            engine,
            tables,
            snapshots: args.scenario == Scenario::LoadSnapshot,
        })
    }
}

impl<const WARM: bool> Bank for FactumBank<WARM> {
    const SIDE: &'static str = match WARM {
        true => "factum",
        false => "factum, cold",
    };

    fn note(&self, _: Scenario) -> String {
        String::new()
    }

    async fn deposit(&self, account: u64, count: usize) -> Result<()> {
        match self.snapshots {
            true => {
                let deposit = snapshotted::Deposit { account, count };
                self.engine.execute(deposit).by("alice").await?;
            }
            false => {
                let deposit = plain::Deposit { account, count };
                self.engine.execute(deposit).by("alice").await?;
            }
        }
        Ok(())
    }

    async fn transfer(&self, from: u64, to: u64) -> Result<()> {
        let transfer = plain::Transfer { from, to };
        self.engine.execute(transfer).by("alice").await?;
        Ok(())
    }

    async fn load(&self, account: u64) -> Result<u64> {
        Ok(match self.snapshots {
            true => {
                let account = self.engine.load::<snapshotted::Account>(&account);
                account.await?.balance
            }
            false => self.engine.load::<plain::Account>(&account).await?.balance,
        })
    }

    async fn catch_up(&self, events: usize) -> Result<usize> {
        let counter = InMemory::<plain::Counter>::new();
        let runtime = Runtime::builder(&self.engine)
            .projection(counter.clone())
            .start()
            .await?;
        runtime.wait_for(Position::new(events as u64)).await?;
        Ok(counter.read(|counter| counter.events))
    }

    async fn catch_up_table(&self, events: usize) -> Result<usize> {
        let tables = self.tables.as_ref();
        let tables = tables.context("there are no tables in memory")?;
        tables.catch_up(&self.engine, events).await
    }
}
