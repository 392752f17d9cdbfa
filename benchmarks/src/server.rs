//! A PostgreSQL server: the one that `FACTUM_TEST_POSTGRES` names, or a throw-away one from the machine's binaries.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

const DATABASE: &str = "factum_benchmark";

pub struct Server {
    /// The URL up to the name of a database, and what stands behind that.
    url: (String, String),
    pub version: String,
    /// Ends when its input does.
    _process: Option<Child>,
}

impl Server {
    pub async fn start() -> Result<Self> {
        let (url, process) = match std::env::var("FACTUM_TEST_POSTGRES") {
            Ok(url) => (url, None),
            Err(_) => {
                let (url, process) = throw_away()?;
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
        ensure!(fsync == "on", "a server without fsync is not measured");
        Ok(started)
    }

    async fn connect(&self) -> Result<PgConnection> {
        let url = format!("{}/postgres{}", self.url.0, self.url.1);
        let options: PgConnectOptions = url.parse()?;
        Ok(PgConnection::connect_with(&options).await?)
    }

    /// The URL of an empty database.
    pub async fn fresh(&self) -> Result<String> {
        self.remove().await?;
        let sql = format!("create database {DATABASE}");
        self.connect().await?.execute(AssertSqlSafe(sql)).await?;
        Ok(format!("{}/{DATABASE}{}", self.url.0, self.url.1))
    }

    pub async fn remove(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        let sql = format!("drop database if exists {DATABASE} with (force)");
        connection.execute(AssertSqlSafe(sql)).await?;
        // What one side has written is not for the next one to sync.
        connection.execute("checkpoint").await?;
        Ok(())
    }
}

fn throw_away() -> Result<(String, Child)> {
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
        "no PostgreSQL server: install one, set FACTUM_TEST_POSTGRES, or leave it out with --databases sqlite,memory"
    );
    let url = format!("postgres://postgres@localhost/postgres?host={dir}");
    Ok((url, process))
}
