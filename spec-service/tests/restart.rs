//! The server is restarted: the list must move at once.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use factum_sqlite::rusqlite::Connection;
use reqwest::StatusCode;
use server::Server;

/// The time in which the list of a new server must show a new specification. A lease has 30 seconds.
const LIMIT: Duration = Duration::from_secs(2);

/// Creates a specification, and waits until the list shows `total`.
async fn create_and_list(server: &Server, name: &str, total: u64) {
    server.create(name, "a: 1\n").await;
    let created = Instant::now();
    loop {
        let listed = server.get("/v1/specs").await;
        if listed.status() == StatusCode::OK {
            let listed: serde_json::Value = listed.json().await.unwrap();
            if listed["total"] == total {
                break;
            }
        }
        assert!(created.elapsed() < LIMIT, "the list does not show {name}");
        tokio::task::yield_now().await;
    }
}

/// Returns the number of documents whose keys and values match these patterns.
fn count(database: &Connection, key: &str, value: &str) -> u64 {
    let sql = "select count(*) from factum_document where key like ?1 and value like ?2";
    database
        .query_row(sql, [key, value], |row| row.get(0))
        .unwrap()
}

/// The number of projections: the list and the search index.
const CONSUMERS: u64 = 2;

fn open(dir: &Path) -> Connection {
    Connection::open(dir.join("specs.db")).unwrap()
}

#[tokio::test]
async fn list_moves_at_once_after_a_container_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    create_and_list(&server, "before", 1).await;
    server.kill();
    assert!(!server.wait().await.success());

    let database = open(dir.path());
    assert_eq!(count(&database, "consumer/%", "%\"holder\":\"%"), CONSUMERS);
    // The process ids of another container cannot be compared.
    let moved = "update factum_document set value = replace(value, '\"machine\":\"', '\"machine\":\"container ')
                 where key like 'node/%'";
    assert_eq!(database.execute(moved, []).unwrap(), 1);
    drop(database);

    let server = Server::start(dir.path());
    create_and_list(&server, "after", 2).await;
}

#[tokio::test]
async fn terminated_server_returns_its_leases() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    create_and_list(&server, "before", 1).await;
    let database = open(dir.path());
    assert_eq!(count(&database, "consumer/%", "%\"holder\":\"%"), CONSUMERS);
    drop(database);
    server.terminate();
    assert!(server.wait().await.success());

    // Neither a lease nor a heartbeat remains that another node, on any machine, would wait for.
    let database = open(dir.path());
    assert_eq!(count(&database, "consumer/%", "%\"holder\":\"%"), 0);
    assert_eq!(count(&database, "node/%", "%"), 0);
    drop(database);
    let server = Server::start(dir.path());
    create_and_list(&server, "after", 2).await;
}
