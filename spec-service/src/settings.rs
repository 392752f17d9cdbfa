//! What the service can be told, by flags or by the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};

use crate::domain::{DEFAULT_MAX_BYTES, MAX_MAX_BYTES};

/// The Spec Service: the lifecycle of small YAML specifications, over REST and gRPC.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub struct Settings {
    /// Where the specifications are kept: `sqlite:` and the path of a file, or the URL of a PostgreSQL
    /// database, `postgres://user@host/database`.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite:specs.db", value_parser = database)]
    pub database_url: Database,

    /// The schema of a PostgreSQL database that holds the specifications; created if there is none.
    #[arg(long, env = "DATABASE_SCHEMA", default_value = "specs")]
    pub database_schema: String,

    /// Where the REST API listens.
    #[arg(long, env = "REST_ADDR", default_value = "127.0.0.1:3000")]
    pub rest_addr: SocketAddr,

    /// Where the gRPC API listens.
    #[arg(long, env = "GRPC_ADDR", default_value = "127.0.0.1:50051")]
    pub grpc_addr: SocketAddr,

    /// The most bytes that the content of a specification may have: 1 to 1048576.
    #[arg(long, env = "MAX_CONTENT_BYTES", default_value_t = DEFAULT_MAX_BYTES, value_parser = content_bytes)]
    pub max_content_bytes: usize,

    /// How many events lists may be behind in a service that is ready.
    #[arg(long, env = "READY_LAG", default_value_t = 1_000)]
    pub ready_lag: u64,

    /// How many seconds a request may take.
    #[arg(long, env = "REQUEST_TIMEOUT", default_value = "30", value_parser = seconds)]
    pub request_timeout: Duration,

    /// How many seconds the service goes on taking requests after it was told to stop, with /readyz failing,
    /// so that whoever spreads the requests notices.
    #[arg(long, env = "DRAIN", default_value = "0", value_parser = seconds)]
    pub drain: Duration,

    /// How many seconds requests in flight have to finish once the service stops.
    #[arg(long, env = "GRACE", default_value = "10", value_parser = seconds)]
    pub grace: Duration,

    /// Whether metrics are kept and `GET /metrics` shows them: true or false.
    #[arg(long, env = "METRICS", default_value_t = true, action = ArgAction::Set)]
    pub metrics: bool,

    /// How logs are written, to the standard error stream; `RUST_LOG` says which.
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// Where the specifications are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(String),
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object in each line.
    Json,
}

fn database(url: &str) -> Result<Database, String> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Database::Postgres(url.to_owned()));
    }
    let path = url.strip_prefix("sqlite:").ok_or_else(|| {
        let scheme = url.split_once(':').map_or("nothing", |(scheme, _)| scheme);
        format!(
            "begins with {scheme:?}, expected `sqlite:` and the path of a file, or `postgres://`"
        )
    })?;
    let path = path.strip_prefix("//").unwrap_or(path);
    match path {
        "" => Err("names no file".to_owned()),
        path if path.contains('?') => Err("takes no parameters behind a `?`".to_owned()),
        path => Ok(Database::Sqlite(PathBuf::from(path))),
    }
}

fn content_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ 1..=MAX_MAX_BYTES) => Ok(bytes),
        _ => Err(format!("is no number from 1 to {MAX_MAX_BYTES}")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "is no number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_sqlite_file_or_a_postgres_url() {
        let file = |path: &str| Ok(Database::Sqlite(path.into()));
        assert_eq!(database("sqlite:specs.db"), file("specs.db"));
        assert_eq!(database("sqlite://specs.db"), file("specs.db"));
        assert_eq!(
            database("sqlite:///var/lib/specs.db"),
            file("/var/lib/specs.db")
        );
        let other = database("mysql://localhost/specs").unwrap_err();
        let expected =
            "begins with \"mysql\", expected `sqlite:` and the path of a file, or `postgres://`";
        assert_eq!(other, expected);
        let url = "postgres://ada@localhost/specs";
        assert_eq!(database(url), Ok(Database::Postgres(url.to_owned())));
        assert_eq!(database("sqlite:").unwrap_err(), "names no file");
    }

    #[test]
    fn a_setting_out_of_range_is_rejected() {
        assert_eq!(content_bytes("1048576"), Ok(1 << 20));
        assert!(content_bytes("1048577").is_err());
        assert!(content_bytes("0").is_err());
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("-1").is_err());
    }
}
