//! Empty stores of every kind. Stores that several handles can share have two.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use factum::store::EventStore;
use factum_memory::MemoryStore;
use factum_postgres::{PgConnectOptions, PostgresOptions};
use factum_sqlite::SqliteOptions;
use tempfile::TempDir;

use crate::own_server::OwnServer;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// A store in memory, with one handle.
    Memory,
    /// A SQLite file, with two handles.
    Sqlite,
    /// A PostgreSQL schema, with two handles.
    Postgres,
}

/// A factory of empty stores of one kind.
#[derive(Debug)]
pub struct Stores {
    location: Location,
    _server: Option<OwnServer>,
    created: u64,
}

#[derive(Debug)]
enum Location {
    Memory,
    Folder(TempDir),
    Database(Box<PgConnectOptions>),
}

impl Stores {
    /// Creates a factory, or returns `None` if there is no database server of this kind.
    ///
    /// The PostgreSQL server is the one of the URL in `FACTUM_TEST_POSTGRES`. If the variable is not set, a temporary
    /// server runs as long as the factory exists.
    ///
    /// # Errors
    /// Returns an error if a temporary folder cannot be created, or the URL of the server is not valid.
    pub fn new(kind: StoreKind) -> Result<Option<Self>> {
        let mut owned = None;
        let location = match kind {
            StoreKind::Memory => Location::Memory,
            StoreKind::Sqlite => Location::Folder(tempfile::tempdir()?),
            StoreKind::Postgres => match server()? {
                Some((options, server)) => {
                    owned = server;
                    Location::Database(Box::new(options))
                }
                None => return Ok(None),
            },
        };
        Ok(Some(Self {
            location,
            _server: owned,
            created: 0,
        }))
    }

    /// Creates an empty store and returns its handles.
    ///
    /// # Errors
    /// Returns an error if the store cannot be opened.
    pub async fn fresh(&mut self) -> Result<Vec<Arc<dyn EventStore>>> {
        self.created += 1;
        let mut handles: Vec<Arc<dyn EventStore>> = Vec::new();
        match &self.location {
            Location::Memory => handles.push(Arc::new(MemoryStore::new())),
            Location::Folder(folder) => {
                let file = folder.path().join(format!("{}.db", self.created));
                // SQLite does not queue writers: two busy handles need a long timeout.
                let options =
                    SqliteOptions::new(file).busy_timeout(std::time::Duration::from_secs(60));
                for _ in 0..2 {
                    handles.push(Arc::new(options.clone().open().await?));
                }
            }
            Location::Database(options) => {
                let schema = format!("history_{}_{}", std::process::id(), self.created);
                let options = PostgresOptions::new((**options).clone())
                    .readers(4)
                    .schema(schema);
                for _ in 0..2 {
                    handles.push(Arc::new(options.clone().open().await?));
                }
            }
        }
        Ok(handles)
    }
}

fn server() -> Result<Option<(PgConnectOptions, Option<OwnServer>)>> {
    if let Ok(url) = std::env::var("FACTUM_TEST_POSTGRES") {
        return Ok(Some((url.parse().context("FACTUM_TEST_POSTGRES")?, None)));
    }
    let Some(server) = OwnServer::start(&[]) else {
        return Ok(None);
    };
    let options = server
        .url()
        .parse()
        .context("the URL of a temporary server")?;
    Ok(Some((options, Some(server))))
}
