//! Tests of document scans: both bounds are conditions of the index.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use factum::store::{DocumentChanges, DocumentStore as _, Scan};
use factum_sqlite::SqliteStore;

async fn keys(store: &SqliteStore, scan: Scan) -> Vec<String> {
    let found = store.scan_documents(scan).await.unwrap();
    found.into_iter().map(|document| document.key).collect()
}

#[tokio::test]
async fn document_scan_uses_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("documents.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let changes = ["a/1", "a/2", "b/1", "\u{10FFFF}"]
        .into_iter()
        .fold(DocumentChanges::new(), |changes, key| changes.put(key, "1"));
    store.change_documents(changes).await.unwrap();
    assert_eq!(keys(&store, Scan::prefix("a/")).await, ["a/1", "a/2"]);
    assert_eq!(keys(&store, Scan::prefix("a/").after("a/1")).await, ["a/2"]);
    let all = Scan::prefix("").after("a/2");
    assert_eq!(keys(&store, all).await, ["b/1", "\u{10FFFF}"]);

    let connection = rusqlite::Connection::open(&file).unwrap();
    let sql = include_str!("../src/sql/scan_documents.sql");
    let mut explain = connection
        .prepare(&format!("explain query plan {sql}"))
        .unwrap();
    let plan: Vec<String> = explain
        .query_map(("a/", "a0", "", 1), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let plan = plan.join("\n");
    assert!(plan.contains("(key>? AND key<?)"), "{plan}");
}
