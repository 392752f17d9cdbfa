//! `kill -9` of a process with many writers and a projection, on each store with tables.

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
async fn a_killed_process_leaves_its_table_at_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("jars.db").display().to_string();
    let mut moments = Moments::new();
    let mut told = Vec::new();
    for round in 0..12 {
        let mut writer = Writer::start(&place, &format!("r{round}"));
        writer.hear(moments.next(150));
        writer.hear_taking(moments.next(12));
        // Anywhere between here and behind the commit.
        std::thread::sleep(Duration::from_micros(moments.next(4_000)));
        told.extend(writer.kill());
        check::assert_consistent(&place, &told, &format!("round {round}")).await;
    }
}

#[tokio::test]
async fn a_killed_client_leaves_its_table_at_its_checkpoint() {
    let Some((_server, url)) = database() else {
        return;
    };
    let place = Place::new(url, "killed");
    let mut moments = Moments::new();
    let mut told = Vec::new();
    for round in 0..6 {
        let mut writer = Writer::start(&place.of_writers(), &format!("r{round}"));
        writer.hear(moments.next(150));
        writer.hear_taking(moments.next(12));
        // Anywhere between here and behind the commit.
        std::thread::sleep(Duration::from_micros(moments.next(4_000)));
        told.extend(writer.kill());
        place.wait_until_left().await;
        check::assert_consistent(&place.of_checks(), &told, &format!("round {round}")).await;
    }
}

#[tokio::test]
async fn a_killed_client_does_not_disturb_another() {
    let Some((_server, url)) = database() else {
        return;
    };
    let place = Place::new(url, "two");
    let mut moments = Moments::new();
    let mut told = Vec::new();
    for round in 0..3 {
        let start = |name| Writer::start(&place.of_writers(), &format!("{name}{round}"));
        // Whoever is first runs the projection.
        let mut killed = start("a");
        killed.hear_taking(1);
        let mut other = start("b");
        other.hear(1);
        killed.hear(moments.next(60));
        killed.hear_taking(moments.next(12));
        told.extend(killed.kill());
        other.hear_beyond(check::head(&place.of_checks()).await);
        // It goes on with the projection, too.
        other.hear_taking(moments.next(20));
        told.extend(other.kill());
        place.wait_until_left().await;
        check::assert_consistent(&place.of_checks(), &told, &format!("round {round}")).await;
    }
}

/// The URL of the server that `FACTUM_TEST_POSTGRES` names, else of one that ends with the value.
fn database() -> Option<(Option<Server>, String)> {
    if let Ok(url) = std::env::var("FACTUM_TEST_POSTGRES") {
        return Some((None, url));
    }
    let server = Server::start()?;
    let url = server.url();
    Some((Some(server), url))
}

/// A schema of one test.
struct Place {
    url: String,
    schema: String,
}

impl Place {
    fn new(url: String, test: &str) -> Self {
        let schema = format!("kill_{test}_{}", std::process::id());
        Self { url, schema }
    }

    fn of_checks(&self) -> String {
        format!("{}#{}", self.url, self.schema)
    }

    /// The name of the program tells their connections from ours.
    fn of_writers(&self) -> String {
        let Self { url, schema } = self;
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}application_name={schema}#{schema}")
    }

    /// The server finishes what a killed client has asked for.
    async fn wait_until_left(&self) {
        let server = PgConnectOptions::from_str(&self.url).unwrap();
        let mut server = server.connect().await.unwrap();
        let sql = "select count(*) from pg_stat_activity where application_name = $1";
        let left = async {
            loop {
                let left = sqlx::query_scalar::<_, i64>(sql).bind(&self.schema);
                if left.fetch_one(&mut server).await.unwrap() == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), left)
            .await
            .unwrap();
    }
}
