//! [`Runner`]: runs the measurements one after the other, each on a new database.

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio::process::Command;

use crate::Options;
use crate::plan::Table;
use crate::server::Server;
use crate::sides::Side;

/// The time limit of one measurement, including its preparation.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The line of JSON that a measured program prints.
#[derive(Debug, Clone, Deserialize)]
pub struct Measurement {
    pub side: String,
    pub database: String,
    pub scenario: String,
    #[serde(default)]
    pub callers: usize,
    pub size: usize,
    #[serde(default)]
    pub per_second: f64,
    #[serde(default)]
    pub p50_us: f64,
    #[serde(default)]
    pub p99_us: f64,
    #[serde(default)]
    pub note: String,
    pub unsupported: Option<String>,
}

pub struct Runner {
    server: Option<Server>,
    seconds: u64,
    json: Option<File>,
    measured: Vec<Measurement>,
}

impl Runner {
    pub async fn start(options: &Options) -> Result<Self> {
        let wanted = options.databases.iter().any(|name| name == "postgres");
        Ok(Self {
            server: match wanted {
                true => Some(Server::start().await?),
                false => None,
            },
            seconds: options.seconds,
            json: options.json.as_ref().map(File::create).transpose()?,
            measured: Vec::new(),
        })
    }

    pub fn postgres_version(&self) -> Option<&str> {
        self.server.as_ref().map(|server| server.version.as_str())
    }

    pub fn measured(&self) -> &[Measurement] {
        &self.measured
    }

    pub async fn measure(&mut self, table: &Table, sides: &[Side]) -> Result<()> {
        for side in sides.iter().filter(|side| side.measures(table)) {
            for callers in table.callers {
                let Some(measured) = self.measure_one(table, side, *callers).await? else {
                    break;
                };
                let unsupported = measured.unsupported.is_some();
                self.measured.push(measured);
                if unsupported {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Runs one measurement; returns `None` if the program fails, and prints the failure.
    async fn measure_one(
        &mut self,
        table: &Table,
        side: &Side,
        callers: usize,
    ) -> Result<Option<Measurement>> {
        let database = TestDatabase::create(table.database, self.server.as_ref()).await?;
        let mut command = Command::new(&side.program);
        match (side.raw, table.scenario) {
            (true, "raw_upsert") => command.args(["--upsert", &table.size.to_string()]),
            (true, "raw_read") => command.args(["--read", &table.size.to_string()]),
            (true, _) => command.args(["--batch", &table.size.to_string()]),
            (false, scenario) => command
                .args([scenario, "--callers", &callers.to_string()])
                .args(["--size", &table.size.to_string()]),
        };
        command
            .args(["--database", &database.name])
            .args(["--seconds", &self.seconds.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let program = side.program.display();
        let output = tokio::time::timeout(TIMEOUT, command.output()).await;
        database.remove(self.server.as_ref()).await?;
        let Ok(output) = output else {
            eprintln!("{program} timed out after {TIMEOUT:?}: {}", table.title);
            return Ok(None);
        };
        let output = output.with_context(|| format!("cannot run {program}"))?;
        let line = String::from_utf8_lossy(&output.stdout);
        let Ok(measured) = serde_json::from_str::<Measurement>(&line) else {
            eprintln!("{program} failed: {}: {}", table.title, output.status);
            return Ok(None);
        };
        eprintln!("{}", line.trim());
        if let Some(json) = &mut self.json {
            json.write_all(line.as_bytes())?;
        }
        Ok(Some(measured))
    }
}

/// A new, empty database.
struct TestDatabase {
    name: String,
    dir: Option<tempfile::TempDir>,
}

impl TestDatabase {
    async fn create(database: &str, server: Option<&Server>) -> Result<Self> {
        Ok(match (database, server) {
            ("sqlite", _) => {
                let dir = tempfile::tempdir_in(".")?;
                Self {
                    name: format!("sqlite:{}", dir.path().join("bench.db").display()),
                    dir: Some(dir),
                }
            }
            ("postgres", Some(server)) => Self {
                name: server.create_database().await?,
                dir: None,
            },
            _ => Self {
                name: "memory".to_owned(),
                dir: None,
            },
        })
    }

    async fn remove(self, server: Option<&Server>) -> Result<()> {
        if let Some(dir) = self.dir {
            dir.close()?;
        }
        match server {
            Some(server) if self.name.starts_with("postgres") => server.drop_database().await,
            _ => Ok(()),
        }
    }
}
