//! Stores to try things on: empty, of every kind, with two handles where what they share outlives one.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use factum::EventStore;
use factum_memory::MemoryStore;
use factum_postgres::{PgConnectOptions, PostgresOptions};
use factum_sqlite::SqliteOptions;
use tempfile::TempDir;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// In this process: one handle.
    Memory,
    /// Two handles on one file.
    Sqlite,
    /// Two handles on one schema.
    Postgres,
}

/// Makes empty stores of one kind, one after the other.
#[derive(Debug)]
pub struct Stores {
    place: Place,
    _server: Option<Server>,
    made: u64,
}

#[derive(Debug)]
enum Place {
    Memory,
    Folder(TempDir),
    Database(Box<PgConnectOptions>),
}

/// A PostgreSQL server that ends with this value.
#[derive(Debug)]
struct Server {
    // The server lives until the other end of its input is closed.
    script: Child,
}

impl Stores {
    /// `None`: there is no server of this kind.
    ///
    /// A PostgreSQL server is the one that `FACTUM_TEST_POSTGRES` names, or one of its own for as long as
    /// this lives.
    ///
    /// # Errors
    /// If there is no room for a temporary folder, or the server's name is none.
    pub fn new(kind: StoreKind) -> Result<Option<Self>> {
        let mut own = None;
        let place = match kind {
            StoreKind::Memory => Place::Memory,
            StoreKind::Sqlite => Place::Folder(tempfile::tempdir()?),
            StoreKind::Postgres => match server()? {
                Some((options, server)) => {
                    own = server;
                    Place::Database(Box::new(options))
                }
                None => return Ok(None),
            },
        };
        Ok(Some(Self {
            place,
            _server: own,
            made: 0,
        }))
    }

    /// Handles on a store that nobody has used.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn fresh(&mut self) -> Result<Vec<Arc<dyn EventStore>>> {
        self.made += 1;
        let mut handles: Vec<Arc<dyn EventStore>> = Vec::new();
        match &self.place {
            Place::Memory => handles.push(Arc::new(MemoryStore::new())),
            Place::Folder(folder) => {
                let file = folder.path().join(format!("{}.db", self.made));
                // SQLite promises no turn to two handles that both write without a pause.
                let patient =
                    SqliteOptions::new(file).busy_timeout(std::time::Duration::from_secs(60));
                for _ in 0..2 {
                    handles.push(Arc::new(patient.clone().open().await?));
                }
            }
            Place::Database(options) => {
                let schema = format!("history_{}_{}", std::process::id(), self.made);
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

fn server() -> Result<Option<(PgConnectOptions, Option<Server>)>> {
    if let Ok(url) = std::env::var("FACTUM_TEST_POSTGRES") {
        return Ok(Some((url.parse().context("FACTUM_TEST_POSTGRES")?, None)));
    }
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../adapters/postgres/tests/throwaway-server.sh"
    );
    let mut script = Command::new("sh")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut folder = String::new();
    let output = script.stdout.take().context("its output")?;
    BufReader::new(output).read_line(&mut folder)?;
    let server = Server { script };
    if folder.is_empty() {
        return Ok(None);
    }
    let options = PgConnectOptions::new_without_pgpass()
        .host("/")
        .socket(folder.trim());
    Ok(Some((
        options.username("postgres").database("postgres"),
        Some(server),
    )))
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // How it ended is nobody's concern.
        let _ = self.script.wait();
    }
}
