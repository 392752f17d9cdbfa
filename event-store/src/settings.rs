//! The settings of the server, from flags or environment variables.

mod report;
mod store_place;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, value_parser};
use factum_server::net::ConnectionLimits;
use factum_server::settings::{ConnectionSettings, TlsSettings, seconds, timeout};
use factum_server::telemetry::TelemetrySettings;

use crate::access::AccessSettings;

pub use report::SettingsReport;
pub use store_place::{BackendName, InvalidStorePlace, StorePlace, StoreUrl};

/// The Factum event store: events over gRPC, stored in memory, SQLite or PostgreSQL.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct ServerSettings {
    /// Store: `memory`, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`; overrides the next two.
    #[arg(long)]
    pub store: Option<StoreUrl>,

    /// Kind of the store; without a database URL, `sqlite` is the file `events.db`.
    #[arg(long, env = "BACKEND")]
    pub backend: Option<BackendName>,

    /// URL of the store, as in `--store`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<StoreUrl>,

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

    /// Time in seconds after which other servers take over the consumer groups of a failed one.
    #[arg(long, env = "GROUP_LEASE", default_value = "6", value_parser = timeout)]
    pub group_lease: Duration,

    /// The settings of logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetrySettings,

    /// Prints each setting with its source, and exits.
    #[arg(long)]
    pub print_settings: bool,
}

impl ServerSettings {
    /// Returns the place of the store, as `--store`, or the backend and the database URL select it.
    ///
    /// # Errors
    /// Returns an error if a URL is not valid, or if the backend and the database URL are in conflict.
    pub fn store_place(&self) -> Result<StorePlace, InvalidStorePlace> {
        match &self.store {
            Some(store) => store.place(),
            None => StorePlace::select(self.backend, self.database_url.as_ref()),
        }
    }

    /// Returns the limits of the connections of each API.
    #[must_use]
    pub fn connection_limits(&self) -> ConnectionLimits {
        self.connections
            .limits(self.idle_timeout, self.unread_timeout)
    }
}
