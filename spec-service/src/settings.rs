//! The settings of the service, from flags or environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};

use crate::domain::{DEFAULT_MAX_BYTES, MAX_BYTES_LIMIT};
use crate::net::ConnectionLimits;

/// The Spec Service: the lifecycle of small YAML specifications over REST and gRPC.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct Settings {
    /// URL of the database: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite:specs.db", value_parser = database)]
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

    /// Maximum number of open connections of each API; further ones wait.
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 1_024, value_parser = count)]
    pub max_connections: usize,

    /// Maximum number of gRPC streams of changes; further ones are rejected.
    #[arg(long, env = "MAX_STREAMS", default_value_t = 256, value_parser = count)]
    pub max_streams: usize,

    /// Head timeout in seconds: from the first byte of a request to the end of its head.
    #[arg(long, env = "HEAD_TIMEOUT", default_value = "10", value_parser = timeout)]
    pub head_timeout: Duration,

    /// Idle timeout in seconds: a connection without a request for this time is closed.
    #[arg(long, env = "IDLE_TIMEOUT", default_value = "75", value_parser = timeout)]
    pub idle_timeout: Duration,

    /// Send timeout in seconds: a connection whose client does not receive for this time is closed.
    #[arg(long, env = "SEND_TIMEOUT", default_value = "30", value_parser = timeout)]
    pub send_timeout: Duration,

    /// Drain time in seconds: after a stop signal, `/readyz` fails and requests are still accepted.
    #[arg(long, env = "DRAIN", default_value = "0", value_parser = seconds)]
    pub drain: Duration,

    /// Grace period in seconds: after the drain time, requests in flight can finish.
    #[arg(long, env = "GRACE", default_value = "10", value_parser = seconds)]
    pub grace: Duration,

    /// Metrics collection and the route `GET /metrics`: true or false.
    #[arg(long, env = "METRICS", default_value_t = true, action = ArgAction::Set)]
    pub metrics: bool,

    /// Format of the logs on standard error; `RUST_LOG` sets the log level.
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

impl Settings {
    /// Returns the limits of the connections of each API.
    #[must_use]
    pub fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            max_connections: self.max_connections,
            head_timeout: self.head_timeout,
            idle_timeout: self.idle_timeout,
            send_timeout: self.send_timeout,
        }
    }
}

/// The longest setting in seconds: one day.
const MAX_SECONDS: Duration = Duration::from_secs(86_400);

/// The greatest number of connections or streams.
const MAX_COUNT: usize = 65_536;

/// The database of the specifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(String),
}

/// The format of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Plain text, one line per log entry.
    Text,
    /// One JSON object per log entry.
    Json,
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

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=MAX_COUNT) => Ok(count),
        _ => Err(format!("expected a number from 1 to {MAX_COUNT}")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|seconds| *seconds <= MAX_SECONDS)
        .ok_or_else(|| {
            format!(
                "expected a number of seconds from 0 to {}",
                MAX_SECONDS.as_secs()
            )
        })
}

/// Parses a timeout. Zero is rejected, because then no request would succeed.
fn timeout(text: &str) -> Result<Duration, String> {
    seconds(text)
        .ok()
        .filter(|timeout| *timeout >= Duration::from_millis(1))
        .ok_or_else(|| {
            format!(
                "expected a number of seconds from 0.001 to {}",
                MAX_SECONDS.as_secs()
            )
        })
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
    fn settings_out_of_range_are_rejected() {
        assert_eq!(content_bytes("1048576"), Ok(1 << 20));
        assert!(content_bytes("1048577").is_err());
        assert!(content_bytes("0").is_err());
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for text in ["-1", "NaN", "inf", "1e300", "86400.5", ""] {
            assert!(seconds(text).is_err(), "{text}");
            assert!(timeout(text).is_err(), "{text}");
        }
        assert_eq!(timeout("0.001"), Ok(Duration::from_millis(1)));
        assert_eq!(
            timeout("0").unwrap_err(),
            "expected a number of seconds from 0.001 to 86400"
        );
        assert_eq!(count("1"), Ok(1));
        assert!(count("0").is_err());
        assert!(count("65537").is_err());
    }
}
