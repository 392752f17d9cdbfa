//! Closing a store with work in flight.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/events.rs"]
mod events;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use events::{append, chain, event};
use factum::store::{Append, EventStore as _, ExpectedVersion, Query, Read, Revision, StoreError};
use factum_sqlite::{SqlDatabase as _, SqliteStore};

/// A time limit for a call that must not hang; closing itself waits 10 seconds for writes.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn close_does_not_hang_behind_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let (started, has_started) = channel();
    let (release, released) = channel::<()>();
    let released = std::sync::Mutex::new(released);
    let hanging = {
        let store = store.clone();
        tokio::spawn(async move {
            let work = store.transaction(Box::new(move |_| {
                Box::pin(async move {
                    started.send(()).unwrap();
                    released.lock().unwrap().recv().unwrap();
                    Ok(Revision::ABSENT)
                })
            }));
            work.await
        })
    };
    has_started.recv().unwrap();
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.append(append()).await })
    };
    tokio::time::timeout(LIMIT, store.close()).await.unwrap();
    let late = store.append(append()).await.unwrap_err();
    assert_eq!(chain(&late), "the store is closed");
    let read = store.read(Read::all(Query::all())).await;
    assert!(matches!(read, Err(StoreError::Closed)), "{read:?}");
    // The work ends as usual, and then the file is closed.
    release.send(()).unwrap();
    hanging.await.unwrap().unwrap();
    let waited = tokio::time::timeout(LIMIT, waiting).await.unwrap();
    let waited = waited.unwrap().unwrap_err();
    assert_eq!(chain(&waited), "the store is closed");
    let wal = dir.path().join("bank.db-wal");
    let started = Instant::now();
    while wal.exists() {
        assert!(started.elapsed() < LIMIT, "the file is not closed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn close_ends_a_long_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    for number in 0..10 {
        let stream = format!("account-{number}").parse().unwrap();
        let events = (0..10_000).map(|_| event("{}")).collect();
        let append = Append::stream(stream, ExpectedVersion::Any, events);
        store.append(append).await.unwrap();
    }
    // Each event is compared with all prefixes, and none matches.
    let query = (0..5_000).fold(Query::none(), |query, number| {
        query.or(factum::store::QueryItem {
            stream_prefix: Some(format!("nothing-{number}")),
            ..Default::default()
        })
    });
    let (reading, reader) = (store.clone(), query);
    let read = tokio::spawn(async move { reading.read(Read::all(reader)).await });
    // The read is running, or has not begun: both end with the same error.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    store.close().await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    let read = read.await.unwrap().map(|page| page.events.len());
    assert!(matches!(read, Err(StoreError::Closed)), "{read:?}");
}

#[tokio::test]
async fn close_stores_the_appends_that_were_sent_before() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let appends = (0..100).map(|_| store.append(append()));
    // The appends are polled before the call that closes the store.
    let appends = futures_util::future::join_all(appends);
    let (stored, ()) = tokio::join!(biased; appends, store.close());
    assert!(stored.iter().all(Result::is_ok), "{stored:?}");
}
