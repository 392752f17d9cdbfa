//! A PostgreSQL server: the one in `FACTUM_TEST_POSTGRES`, or a temporary one.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

const DATABASE: &str = "factum_benchmark";

pub struct Server {
    /// The parts of the URL before and after the database name.
    url: (String, String),
    pub version: String,
    /// The temporary server, which stops when its standard input is closed.
    _process: Option<Child>,
}

impl Server {
    pub async fn start() -> Result<Self> {
        let (url, process) = match std::env::var("FACTUM_TEST_POSTGRES") {
            Ok(url) => (url, None),
            Err(_) => {
                let (url, process) = start_temporary()?;
                (url, Some(process))
            }
        };
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let (server, _) = path.rsplit_once('/').unwrap_or((path, ""));
        let mut started = Self {
            url: (server.to_owned(), format!("?{query}")),
            version: String::new(),
            _process: process,
        };
        let mut connection = started.connect().await?;
        started.version = sqlx::query_scalar("show server_version")
            .fetch_one(&mut connection)
            .await?;
        let fsync: String = sqlx::query_scalar("show fsync")
            .fetch_one(&mut connection)
            .await?;
        ensure!(
            fsync == "on",
            "the PostgreSQL server runs with fsync={fsync}; benchmarks require fsync=on"
        );
        Ok(started)
    }

    async fn connect(&self) -> Result<PgConnection> {
        let url = format!("{}/postgres{}", self.url.0, self.url.1);
        let options: PgConnectOptions = url.parse()?;
        Ok(PgConnection::connect_with(&options).await?)
    }

    /// Creates an empty database and returns its URL.
    pub async fn create_database(&self) -> Result<String> {
        self.drop_database().await?;
        let sql = format!("create database {DATABASE}");
        self.connect().await?.execute(AssertSqlSafe(sql)).await?;
        Ok(format!("{}/{DATABASE}{}", self.url.0, self.url.1))
    }

    /// Drops the database.
    pub async fn drop_database(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        let sql = format!("drop database if exists {DATABASE} with (force)");
        connection.execute(AssertSqlSafe(sql)).await?;
        // A checkpoint flushes the writes of this program, so that the next one does not pay for them.
        connection.execute("checkpoint").await?;
        Ok(())
    }
}

/// Starts a temporary server from the installed binaries.
fn start_temporary() -> Result<(String, Child)> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../adapters/postgres/tests/throwaway-server.sh"
    );
    let mut process = Command::new("sh")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut dir = String::new();
    if let Some(output) = process.stdout.take() {
        BufReader::new(output).read_line(&mut dir)?;
    }
    let dir = dir.trim();
    ensure!(
        !dir.is_empty(),
        "no PostgreSQL server found; install one, set FACTUM_TEST_POSTGRES, or pass --databases memory,sqlite"
    );
    let url = format!("postgres://postgres@localhost/postgres?host={dir}");
    Ok((url, process))
}
