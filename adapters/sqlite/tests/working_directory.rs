//! A store keeps its file after the program has changed its working directory.
//!
//! The test is alone in its program, because the working directory belongs to the process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/events.rs"]
mod events;

use events::{append, count};
use factum::store::EventStore as _;
use factum_sqlite::SqliteStore;

#[tokio::test]
async fn relative_path_is_resolved_once() {
    let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::env::set_current_dir(&own).unwrap();
    let store = SqliteStore::open("store.db").await.unwrap();
    std::env::set_current_dir(&other).unwrap();
    let foreign = SqliteStore::open("store.db").await.unwrap();
    foreign.append(append()).await.unwrap();
    // The connections that read are opened now.
    assert_eq!(count(&store).await, 0);
    let rows: i64 = store
        .query("select count(*) from events")
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(rows, 0);
    store.append(append()).await.unwrap();
    store.append(append()).await.unwrap();
    assert_eq!((count(&store).await, count(&foreign).await), (2, 1));
    store.close().await;
    let again = SqliteStore::open(own.path().join("store.db")).await;
    assert_eq!(count(&again.unwrap()).await, 2);
}
