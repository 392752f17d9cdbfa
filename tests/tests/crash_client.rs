//! `kill -9` of a process with many writers and a projection, on each SQL store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/child.rs"]
mod child;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/moments.rs"]
mod moments;
#[path = "support/server.rs"]
mod server;

use std::str::FromStr as _;
use std::time::Duration;

use factum_postgres::PgConnectOptions;
use factum_postgres::sqlx::{self, ConnectOptions as _};

use child::Writer;
use moments::Moments;
use server::Server;

#[tokio::test]
async fn killed_sqlite_process_leaves_table_at_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let location = dir.path().join("jars.db").display().to_string();
    let mut moments = Moments::new();
    let mut acknowledged = Vec::new();
    for round in 0..12 {
        let mut writer = Writer::start(&location, &format!("r{round}"));
        writer.wait_for_commands(moments.next(150));
        writer.wait_for_events(moments.next(12));
        // The kill happens at any time until shortly after the commit.
        std::thread::sleep(Duration::from_micros(moments.next(4_000)));
        acknowledged.extend(writer.kill());
        check::assert_consistent(&location, &acknowledged, &format!("round {round}")).await;
    }
}

#[tokio::test]
async fn killed_postgres_client_leaves_table_at_checkpoint() {
    let Some((_server, url)) = database() else {
        return;
    };
    let schema = Schema::new(url, "killed");
    let mut moments = Moments::new();
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        let mut writer = Writer::start(&schema.writer_location(), &format!("r{round}"));
        writer.wait_for_commands(moments.next(150));
        writer.wait_for_events(moments.next(12));
        // The kill happens at any time until shortly after the commit.
        std::thread::sleep(Duration::from_micros(moments.next(4_000)));
        acknowledged.extend(writer.kill());
        schema.wait_until_disconnected().await;
        check::assert_consistent(&schema.location(), &acknowledged, &format!("round {round}"))
            .await;
    }
}

#[tokio::test]
async fn killed_client_does_not_disturb_another_client() {
    let Some((_server, url)) = database() else {
        return;
    };
    let schema = Schema::new(url, "two");
    let mut moments = Moments::new();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let start = |name| Writer::start(&schema.writer_location(), &format!("{name}{round}"));
        // The first process runs the projection.
        let mut killed = start("a");
        killed.wait_for_events(1);
        let mut other = start("b");
        other.wait_for_commands(1);
        killed.wait_for_commands(moments.next(60));
        killed.wait_for_events(moments.next(12));
        acknowledged.extend(killed.kill());
        other.wait_for_command_after(check::head(&schema.location()).await);
        // The other process takes over the projection.
        other.wait_for_events(moments.next(20));
        acknowledged.extend(other.kill());
        schema.wait_until_disconnected().await;
        check::assert_consistent(&schema.location(), &acknowledged, &format!("round {round}"))
            .await;
    }
}

/// Returns the URL in `FACTUM_TEST_POSTGRES`, or a temporary server with its URL.
fn database() -> Option<(Option<Server>, String)> {
    if let Ok(url) = std::env::var("FACTUM_TEST_POSTGRES") {
        return Some((None, url));
    }
    let server = Server::start()?;
    let url = server.url();
    Some((Some(server), url))
}

/// The PostgreSQL schema of a test.
struct Schema {
    url: String,
    name: String,
}

impl Schema {
    fn new(url: String, test: &str) -> Self {
        let name = format!("kill_{test}_{}", std::process::id());
        Self { url, name }
    }

    fn location(&self) -> String {
        format!("{}#{}", self.url, self.name)
    }

    /// Returns the location with an application name that identifies the connections of writers.
    fn writer_location(&self) -> String {
        let Self { url, name } = self;
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}application_name={name}#{name}")
    }

    /// Waits until the server has closed the connections of killed clients.
    async fn wait_until_disconnected(&self) {
        let server = PgConnectOptions::from_str(&self.url).unwrap();
        let mut server = server.connect().await.unwrap();
        let sql = "select count(*) from pg_stat_activity where application_name = $1";
        let disconnected = async {
            loop {
                let connections = sqlx::query_scalar::<_, i64>(sql).bind(&self.name);
                if connections.fetch_one(&mut server).await.unwrap() == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), disconnected)
            .await
            .unwrap();
    }
}
