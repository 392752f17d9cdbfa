//! [`FactumBank`]: the accounts of the harness on a factum engine.

use anyhow::{Context as _, Result};
use benchmark_harness::{Args, Bank, Database, Scenario};
use factum::Position;
use factum::prelude::*;
use factum_memory::MemoryStore;
use factum_postgres::PostgresStore;
use factum_sqlite::SqliteStore;

use crate::domain::{plain, snapshotted};
use crate::tables::Tables;

/// Accounts on an engine, with or without an aggregate cache.
///
/// If `CACHED` is false, every command reads its events from the store.
pub struct FactumBank<const CACHED: bool> {
    engine: Engine,
    /// The tables for table projections, or `None` in memory.
    tables: Option<Tables>,
    snapshots: bool,
}

impl<const CACHED: bool> FactumBank<CACHED> {
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
        let engine = match CACHED {
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

impl<const CACHED: bool> Bank for FactumBank<CACHED> {
    const SIDE: &'static str = match CACHED {
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
        let counter = InMemory::<plain::HotCounter>::new();
        let runtime = Runtime::builder(&self.engine)
            .projection(counter.clone())
            .start()
            .await?;
        runtime.wait_for(Position::new(events as u64)).await?;
        Ok(counter.read(|counter| counter.events))
    }

    async fn catch_up_table(&self, events: usize) -> Result<usize> {
        let tables = self.tables.as_ref();
        let tables = tables.context("the memory store has no tables")?;
        tables.catch_up(&self.engine, events).await
    }
}
