//! [`ServedStore`]: the store that the server serves. The only file that names the adapters.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use factum::store::Store;
use factum_memory::MemoryStore;
use factum_postgres::PostgresStore;
use factum_sqlite::SqliteStore;
use futures_util::future::BoxFuture;

use crate::settings::StorePlace;

/// The store that the server serves.
pub struct ServedStore {
    /// The name of the backend: `memory`, `sqlite` or `postgres`.
    pub name: &'static str,
    /// The store.
    pub store: Arc<dyn Store>,
    close: BoxFuture<'static, ()>,
}

impl ServedStore {
    /// Opens the store.
    ///
    /// # Errors
    /// Returns an error if the database cannot be opened.
    pub async fn open(database: &StorePlace) -> Result<Self> {
        match database {
            StorePlace::Memory => Ok(Self {
                name: "memory",
                store: Arc::new(MemoryStore::new()),
                close: Box::pin(async {}),
            }),
            StorePlace::Sqlite(path) => {
                let opened = SqliteStore::open(path).await;
                let store = opened
                    .with_context(|| format!("cannot open the SQLite file {}", path.display()))?;
                let closed = store.clone();
                Ok(Self {
                    name: "sqlite",
                    store: Arc::new(store),
                    close: Box::pin(async move { closed.close().await }),
                })
            }
            StorePlace::Postgres(url) => {
                let opened = PostgresStore::open(url).await;
                let store = opened.context("cannot open the PostgreSQL database")?;
                let closed = store.clone();
                Ok(Self {
                    name: "postgres",
                    store: Arc::new(store),
                    close: Box::pin(async move { closed.close().await }),
                })
            }
        }
    }

    /// Closes the store.
    pub async fn close(self) {
        self.close.await;
    }
}
