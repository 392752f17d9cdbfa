//! The settings of the server, from flags or environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// The Factum event store: events over gRPC, stored in memory, SQLite or PostgreSQL.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct ServerSettings {
    /// Where events are stored: `memory`, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite:events.db", value_parser = database)]
    pub store: StorePlace,

    /// Listen address of the gRPC API; port 0 selects a free port.
    #[arg(long, env = "BIND_ADDR", default_value = "127.0.0.1:50051")]
    pub bind_addr: SocketAddr,

    /// Grace period in seconds: after a stop signal, calls in flight can finish.
    #[arg(long, env = "GRACE", default_value = "10", value_parser = seconds)]
    pub grace: Duration,
}

/// The longest setting in seconds: one day.
const MAX_SECONDS: u64 = 86_400;

/// The place where events are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// The memory of the process; a stop loses the events.
    Memory,
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(String),
}

fn database(text: &str) -> Result<StorePlace, String> {
    if text == "memory" {
        return Ok(StorePlace::Memory);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(StorePlace::Postgres(text.to_owned()));
    }
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(StorePlace::Sqlite(path.into())),
        _ => Err("expected `memory`, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds <= MAX_SECONDS => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "expected a number of seconds from 0 to {MAX_SECONDS}"
        )),
    }
}
