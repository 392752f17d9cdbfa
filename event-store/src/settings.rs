//! The settings of the server, from flags or environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, value_parser};
use factum_server::logs::LogFormat;
use factum_server::net::ConnectionLimits;
use factum_server::settings::{ConnectionSettings, TlsSettings, seconds, timeout};

use crate::access::AccessSettings;

/// The Factum event store: events over gRPC, stored in memory, SQLite or PostgreSQL.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct ServerSettings {
    /// Where events are stored: `memory`, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite:events.db", value_parser = database)]
    pub store: StorePlace,

    /// Listen addresses of the gRPC API, separated by commas; port 0 selects a free port.
    #[arg(
        long,
        env = "BIND_ADDR",
        default_value = "127.0.0.1:50051",
        value_delimiter = ','
    )]
    pub bind_addr: Vec<SocketAddr>,

    /// Listen address of the metrics and of HTTP health checks; without it, no metrics are collected.
    #[arg(long, env = "METRICS_ADDR")]
    pub metrics_addr: Option<SocketAddr>,

    /// The settings of access control.
    #[command(flatten)]
    pub access: AccessSettings,

    /// The settings of TLS.
    #[command(flatten)]
    pub tls: TlsSettings,

    /// The settings of connections.
    #[command(flatten)]
    pub connections: ConnectionSettings,

    /// Idle timeout in seconds: a connection without a call for this time is closed.
    #[arg(long, env = "IDLE_TIMEOUT", default_value = "600", value_parser = timeout)]
    pub idle_timeout: Duration,

    /// Unread timeout in seconds: a connection with a stream that its client does not read for this time is closed.
    #[arg(long, env = "UNREAD_TIMEOUT", default_value = "600", value_parser = timeout)]
    pub unread_timeout: Duration,

    /// Maximum number of concurrent calls of one connection; further ones wait.
    #[arg(long, env = "MAX_CALLS", default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=65_536))]
    pub max_calls: u32,

    /// Drain time in seconds: after a stop signal, health checks fail and calls are still accepted.
    #[arg(long, env = "DRAIN", default_value = "0", value_parser = seconds)]
    pub drain: Duration,

    /// Grace period in seconds: after the drain time, calls in flight can finish.
    #[arg(long, env = "GRACE", default_value = "10", value_parser = seconds)]
    pub grace: Duration,

    /// Time in seconds after which other servers on the same database take over the consumer groups of a server that has
    /// failed.
    #[arg(long, env = "GROUP_LEASE", default_value = "6", value_parser = timeout)]
    pub group_lease: Duration,

    /// Format of the logs on standard error; `RUST_LOG` sets the log level.
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

impl ServerSettings {
    /// Returns the limits of the connections of each API.
    #[must_use]
    pub fn connection_limits(&self) -> ConnectionLimits {
        self.connections
            .limits(self.idle_timeout, self.unread_timeout)
    }
}

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
