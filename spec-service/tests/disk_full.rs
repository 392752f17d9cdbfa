//! A full disk: the service says that it is not ready, loses nothing, and continues once there is room.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../../adapters/sqlite/tests/support/mount.rs"]
mod mount;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::fs::{File, remove_file};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use mount::Mount;
use reqwest::StatusCode;
use serde_json::json;
use server::Server;

/// A time limit for waits that must end.
const LIMIT: Duration = Duration::from_secs(30);

/// Writes a file that leaves no room.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[7; 4_096]).is_ok() {}
}

async fn await_ready(server: &Server, expected: StatusCode) {
    let started = Instant::now();
    loop {
        let status = server.get("/readyz").await.status();
        if status == expected {
            return;
        }
        assert!(started.elapsed() < LIMIT, "/readyz is {status}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn service_on_a_full_disk_is_not_ready_until_there_is_room() {
    let Some(disk) = Mount::new("8m") else {
        return;
    };
    let server = Server::start(disk.path());
    server.create("before", "a: 1\n").await;
    await_ready(&server, StatusCode::OK).await;

    let filler = disk.path().join("filler");
    fill(&filler);
    await_ready(&server, StatusCode::SERVICE_UNAVAILABLE).await;
    let health: serde_json::Value = server.get("/health").await.json().await.unwrap();
    assert_eq!(health["store"]["writable"], false, "{health}");
    let content = "- a\n".repeat(500);
    let body = json!({ "name": "during", "content": content });
    let refused = server.post("/v1/specs", &body).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    // It still reads.
    assert_eq!(server.json("/v1/specs").await["total"], 1);

    remove_file(&filler).unwrap();
    await_ready(&server, StatusCode::OK).await;
    server.create("after", "a: 1\n").await;
    let started = Instant::now();
    while server.json("/v1/specs").await["total"] != 2 {
        assert!(started.elapsed() < LIMIT, "the list does not move");
    }
}
