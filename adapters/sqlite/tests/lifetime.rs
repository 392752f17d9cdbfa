//! Tests of stores that outlive their runtime, or are used without one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/events.rs"]
mod events;

use std::time::Duration;

use events::{append, chain, count};
use factum::store::{EventStore as _, Query, SnapshotStore as _};
use factum::{Engine, Position};
use factum_sqlite::{SqlDatabase as _, SqliteStore};
use tokio::runtime::Runtime;

/// A time limit for waits that must end.
const LIMIT: Duration = Duration::from_secs(10);

/// Polls a future to its end, without a runtime.
fn poll<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).expect("the future must not wait")
}

#[test]
fn subscription_outlives_the_runtime_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let first = Runtime::new().unwrap();
    let store = first.block_on(SqliteStore::open(&file)).unwrap();
    first.block_on(store.append(append())).unwrap();
    drop(first);
    Runtime::new().unwrap().block_on(async {
        store.append(append()).await.unwrap();
        assert_eq!(count(&store).await, 2);
        let mut subscription = Engine::new(store.clone()).subscribe(Query::all(), Position::new(2));
        let waiting = tokio::spawn(async move { subscription.next_page().await });
        let other = SqliteStore::open(&file).await.unwrap();
        other.append(append()).await.unwrap();
        let page = tokio::time::timeout(LIMIT, waiting).await.unwrap();
        assert_eq!(page.unwrap().unwrap().events.len(), 1);
        tokio::time::timeout(LIMIT, store.close()).await.unwrap();
    });
}

#[test]
fn call_outside_of_a_runtime_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let expected = "no tokio runtime: called outside of one; \
                    call it in a task, for example in `#[tokio::main]`";
    let error = poll(SqliteStore::open(&file)).unwrap_err();
    assert_eq!(chain(&error), expected);
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(SqliteStore::open(&file)).unwrap();
    let error = poll(store.clear_snapshots()).unwrap_err();
    assert_eq!(chain(&error), expected);
    let error = poll(store.begin_read()).err().unwrap();
    assert_eq!(chain(&error), expected);
    let ran = store.transaction(Box::new(|_| Box::pin(async { unreachable!() })));
    let error = poll(ran).unwrap_err();
    assert_eq!(chain(&error), expected);
    runtime.block_on(store.close());
}

#[tokio::test]
async fn closed_store_ends_every_wait() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    let mut subscription = Engine::new(store.clone()).subscribe(Query::all(), Position::ZERO);
    let waiting = tokio::spawn(async move { subscription.next_page().await });
    let mut head = store.watch();
    let changed = tokio::spawn(async move { head.changed().await.is_err() });
    tokio::task::yield_now().await;
    tokio::time::timeout(LIMIT, store.close()).await.unwrap();
    let ended = tokio::time::timeout(LIMIT, waiting).await.unwrap();
    assert_eq!(chain(&ended.unwrap().unwrap_err()), "the store is closed");
    assert!(tokio::time::timeout(LIMIT, changed).await.unwrap().unwrap());
    // A second call, also of a clone, returns at once.
    let clone = store.clone();
    tokio::time::timeout(LIMIT, clone.close()).await.unwrap();
}
