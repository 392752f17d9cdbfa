//! Appends per second: without a projection, with an ordinary one, and with an inline one.
//!
//! `cargo test --release -p factum-postgres --test inline_speed -- --ignored --nocapture`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod adapter;
#[path = "support/server.rs"]
mod server;
#[path = "../../../framework/sql/tests/shared/tally.rs"]
mod tally;

use std::time::{Duration, Instant};

use factum::store::EventStore as _;
use factum_postgres::PostgresStore;
use tally::{Sums, added, build, run, totals};

const TIME: Duration = Duration::from_secs(3);

/// Returns the appends of one event per second, by so many callers.
async fn rate(store: &PostgresStore, callers: u64) -> f64 {
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
        let bare = server::fresh().unwrap().open().await.unwrap();
        let alone = rate(&bare, callers).await;
        bare.close().await;

        let ordinary = server::fresh().unwrap().open().await.unwrap();
        let runtime = run::<1>(&ordinary).await;
        let beside = rate(&ordinary, callers).await;
        let head = *ordinary.watch().borrow();
        let lag = head.get() as i64 - totals(&ordinary).await.0;
        let began = Instant::now();
        runtime.wait_for(head).await.unwrap();
        let late = began.elapsed();
        runtime.stop().await;
        ordinary.close().await;

        let options = server::fresh().unwrap().inline(Sums::<1>);
        let store = options.open().await.unwrap();
        build::<1>(&store).await;
        let inline = rate(&store, callers).await;
        assert_eq!(totals(&store).await.0 as u64, store.watch().borrow().get());
        store.close().await;
        println!(
            "{callers} callers: alone {alone:.0}/s, ordinary {beside:.0}/s ({lag} events, {late:?} late), inline {inline:.0}/s"
        );
    }
}
