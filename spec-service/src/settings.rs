//! The settings of the service, from flags or environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};
use factum_server::settings::{ConnectionSettings, count, seconds, timeout};
use factum_server::telemetry::TelemetrySettings;

use crate::content::{DEFAULT_MAX_BYTES, MAX_BYTES_LIMIT};
use crate::webhooks::delivery::{AddressRules, DeliveryClient, Network, RetrySchedule};

/// The Spec Service: the lifecycle of small YAML specifications over REST and gRPC.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct Settings {
    /// URL of the database: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite:specs.db", value_parser = database, hide_env_values = true)]
    pub database_url: Database,

    /// PostgreSQL schema of the tables, created if missing; ignored with SQLite.
    #[arg(long, env = "DATABASE_SCHEMA", default_value = "specs")]
    pub database_schema: String,

    /// Listen address of the REST API; port 0 selects a free port.
    #[arg(long, env = "REST_ADDR", default_value = "127.0.0.1:3000")]
    pub rest_addr: SocketAddr,

    /// Listen address of the gRPC API; port 0 selects a free port.
    #[arg(long, env = "GRPC_ADDR", default_value = "127.0.0.1:50051")]
    pub grpc_addr: SocketAddr,

    /// Maximum size of a content in bytes, from 1 to 1048576; larger contents are rejected.
    #[arg(long, env = "MAX_CONTENT_BYTES", default_value_t = DEFAULT_MAX_BYTES, value_parser = content_bytes)]
    pub max_content_bytes: usize,

    /// Maximum lag of the list in events; with a greater lag, `/readyz` fails.
    #[arg(long, env = "READY_LAG", default_value_t = 1_000)]
    pub ready_lag: u64,

    /// Request timeout in seconds, for REST requests and gRPC calls; streams have no timeout.
    #[arg(long, env = "REQUEST_TIMEOUT", default_value = "30", value_parser = timeout)]
    pub request_timeout: Duration,

    /// The settings of connections.
    #[command(flatten)]
    pub connections: ConnectionSettings,

    /// Idle timeout in seconds: a connection without a request for this time is closed.
    #[arg(long, env = "IDLE_TIMEOUT", default_value = "75", value_parser = timeout)]
    pub idle_timeout: Duration,

    /// Maximum number of streams of changes of each API; further ones are rejected.
    #[arg(long, env = "MAX_STREAMS", default_value_t = 256, value_parser = count)]
    pub max_streams: usize,

    /// Drain time in seconds: after a stop signal, `/readyz` fails and requests are still accepted.
    #[arg(long, env = "DRAIN", default_value = "0", value_parser = seconds)]
    pub drain: Duration,

    /// Grace period in seconds: after the drain time, requests in flight can finish.
    #[arg(long, env = "GRACE", default_value = "10", value_parser = seconds)]
    pub grace: Duration,

    /// The settings of webhooks.
    #[command(flatten)]
    pub webhooks: WebhookDeliverySettings,

    /// Metrics collection and the route `GET /metrics`: true or false.
    #[arg(long, env = "METRICS", default_value_t = true, action = ArgAction::Set)]
    pub metrics: bool,

    /// The settings of logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetrySettings,
}

/// The settings of the deliveries of webhooks.
#[derive(Debug, Clone, clap::Args)]
pub struct WebhookDeliverySettings {
    /// Networks that webhooks may reach besides public addresses, such as 10.1.0.0/16; also without TLS.
    #[arg(long, env = "WEBHOOK_ALLOWED_NETWORKS", value_delimiter = ',')]
    pub webhook_allowed_networks: Vec<Network>,

    /// Delivery timeout in seconds: from the resolution of the host to the end of the answer.
    #[arg(long, env = "WEBHOOK_TIMEOUT", default_value = "15", value_parser = timeout)]
    pub webhook_timeout: Duration,

    /// Pause in seconds after the first failed attempt of a delivery; later pauses double, up to an hour.
    #[arg(long, env = "WEBHOOK_RETRY_PAUSE", default_value = "5", value_parser = timeout)]
    pub webhook_retry_pause: Duration,

    /// Retry time in hours, 1 to 72; a webhook that fails for this time is disabled.
    #[arg(long, env = "WEBHOOK_RETRY_HOURS", default_value_t = 72, value_parser = clap::value_parser!(u32).range(1..=72))]
    pub webhook_retry_hours: u32,
}

impl WebhookDeliverySettings {
    /// Creates the client of deliveries.
    #[must_use]
    pub fn client(&self) -> DeliveryClient {
        let rules = AddressRules::allowing(self.webhook_allowed_networks.clone());
        DeliveryClient::new(rules, self.webhook_timeout)
    }

    /// Returns the times of the attempts.
    #[must_use]
    pub fn schedule(&self) -> RetrySchedule {
        RetrySchedule {
            first_pause: self.webhook_retry_pause,
            retry_time: Duration::from_secs(u64::from(self.webhook_retry_hours) * 3_600),
        }
    }
}

/// The database of the specifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(String),
}

fn database(url: &str) -> Result<Database, String> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Database::Postgres(url.to_owned()));
    }
    let path = url.strip_prefix("sqlite:").ok_or_else(|| {
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        format!(
            "unsupported scheme: {scheme:?}; use `sqlite:PATH` or `postgres://USER@HOST/DATABASE`"
        )
    })?;
    let path = path.strip_prefix("//").unwrap_or(path);
    match path {
        "" => Err("missing file path; use `sqlite:PATH`".to_owned()),
        path if path.contains('?') => {
            Err("parameters after `?` are not supported; use `sqlite:PATH`".to_owned())
        }
        path => Ok(Database::Sqlite(PathBuf::from(path))),
    }
}

fn content_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ 1..=MAX_BYTES_LIMIT) => Ok(bytes),
        _ => Err(format!("expected a number from 1 to {MAX_BYTES_LIMIT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_url_accepts_sqlite_and_postgres() {
        let file = |path: &str| Ok(Database::Sqlite(path.into()));
        assert_eq!(database("sqlite:specs.db"), file("specs.db"));
        assert_eq!(database("sqlite://specs.db"), file("specs.db"));
        assert_eq!(
            database("sqlite:///var/lib/specs.db"),
            file("/var/lib/specs.db")
        );
        let other = database("mysql://localhost/specs").unwrap_err();
        let expected =
            "unsupported scheme: \"mysql\"; use `sqlite:PATH` or `postgres://USER@HOST/DATABASE`";
        assert_eq!(other, expected);
        let url = "postgres://ada@localhost/specs";
        assert_eq!(database(url), Ok(Database::Postgres(url.to_owned())));
        assert_eq!(
            database("sqlite:").unwrap_err(),
            "missing file path; use `sqlite:PATH`"
        );
    }

    #[test]
    fn content_size_out_of_range_is_rejected() {
        assert_eq!(content_bytes("1048576"), Ok(1 << 20));
        assert!(content_bytes("1048577").is_err());
        assert!(content_bytes("0").is_err());
    }
}
