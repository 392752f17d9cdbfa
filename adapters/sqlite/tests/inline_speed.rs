//! How many appends a second a store takes: without a projection, with one behind it, with the same one inline.
//!
//! `cargo test --release -p factum-sqlite --test inline_speed -- --ignored --nocapture`

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod tally;

use std::time::{Duration, Instant};

use factum::store::EventStore as _;
use factum::prelude::*;
use factum_sqlite::{SqliteOptions, SqliteStore};
use tally::{Sums, added, seen};
use tempfile::TempDir;

const TIME: Duration = Duration::from_secs(2);

fn fresh() -> (TempDir, SqliteOptions) {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(dir.path().join("tally.db"));
    (dir, options)
}

/// Appends of one event each a second, by so many callers.
async fn rate(store: &SqliteStore, callers: u64) -> f64 {
    let began = Instant::now();
    let tasks = (0..callers).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut appends = 0;
            while began.elapsed() < TIME {
                store.append(added(caller, &[1])).await.unwrap();
                appends += 1;
            }
            appends
        })
    });
    let mut appends = 0;
    for task in tasks.collect::<Vec<_>>() {
        appends += task.await.unwrap();
    }
    f64::from(appends) / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn appends_a_second() {
    for callers in [1, 64] {
        let (_dir, options) = fresh();
        let bare = options.open().await.unwrap();
        let alone = rate(&bare, callers).await;
        bare.close().await;

        let (_dir, options) = fresh();
        let behind = options.open().await.unwrap();
        let projections = Projections::builder(&Engine::new(behind.clone()))
            .with(behind.read_model(Sums::<1>))
            .start();
        let beside = rate(&behind, callers).await;
        let head = *behind.watch().borrow();
        let lag = head.get() as i64 - seen(behind.pool()).await.0;
        let began = Instant::now();
        projections.wait_for(head).await.unwrap();
        let late = began.elapsed();
        projections.stop().await;
        behind.close().await;

        let (_dir, options) = fresh();
        let store = options.inline(Sums::<1>).open().await.unwrap();
        let inline = rate(&store, callers).await;
        assert_eq!(
            seen(store.pool()).await.0 as u64,
            store.watch().borrow().get()
        );
        store.close().await;
        println!(
            "{callers} callers: alone {alone:.0}/s, behind {beside:.0}/s ({lag} events, {late:?} late), inline {inline:.0}/s"
        );
    }
}
