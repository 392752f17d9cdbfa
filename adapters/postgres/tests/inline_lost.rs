//! Inline projections and connections that break around the commit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod adapter;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/server.rs"]
#[allow(dead_code, reason = "every store here is behind a proxy")]
mod server;
#[path = "../../../framework/sql/tests/shared/tally.rs"]
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use factum::store::{AppendError, EventStore as _, StoreError};
use factum_postgres::sqlx::{self, ConnectOptions as _};
use proxy::{Cut, Proxy};
use tally::{Sums, added, build, compare};

/// The text of a commit.
const COMMIT: &str = "; commit";

#[tokio::test]
async fn lost_response_is_recovered_and_lost_commit_undone() {
    for (marker, alone) in [
        (COMMIT, true),
        (COMMIT, false),
        ("tally.added", true),
        ("tally.added", false),
    ] {
        let Some((server, options)) = server::fresh_with_address() else {
            return;
        };
        let other = options(server.clone()).inline(Sums::<1>);
        let other = other.open().await.unwrap();
        build::<1>(&other).await;
        let (proxy, way) = Proxy::start(server, marker).await;
        let store = options(way).inline(Sums::<1>).open().await.unwrap();
        let mut stored = 0;
        for round in 0..3 {
            for cut in [Cut::Response, Cut::Request] {
                // Other writers change what the writer has cached.
                for store in [&store, &store, &other, &store]
                    .iter()
                    .take(if alone { 2 } else { 4 })
                {
                    store.append(added(2, &[3])).await.unwrap();
                    stored += 1;
                }
                proxy.cut(cut);
                let answer = store.append(added(1, &[1, 2])).await;
                assert!(proxy.has_cut());
                match (marker, cut, answer) {
                    (COMMIT, Cut::Response, Ok(appended)) => {
                        stored += 2;
                        assert_eq!(appended.position.get() as usize, stored);
                        assert_eq!((appended.count, appended.repeated), (2, false));
                    }
                    (COMMIT, Cut::Response, answer) => panic!("round {round}: {answer:?}"),
                    (_, _, Err(AppendError::Store(StoreError::Unavailable(_)))) => {}
                    (_, _, answer) => panic!("{marker}, round {round}: {answer:?}"),
                }
                assert_eq!(compare(&store).await, stored);
                store.append(added(2, &[3])).await.unwrap();
                stored += 1;
                assert_eq!(compare(&store).await, stored);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_leave_the_table_equal_to_the_log() {
    const WRITERS: u64 = 8;
    let Some((server, options)) = server::fresh_with_address() else {
        return;
    };
    let name = server.get_application_name().unwrap().to_owned();
    let control = server.clone().application_name("control");
    let mut control = control.connect().await.unwrap();
    let store = options(server).inline(Sums::<1>).open().await.unwrap();
    build::<1>(&store).await;
    let end: Arc<AtomicBool> = Arc::default();
    let writers = (0..WRITERS).map(|number| {
        let (store, end) = (store.clone(), end.clone());
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            while !end.load(SeqCst) {
                match store.append(added(number, &[number, 1])).await {
                    Ok(appended) => acknowledged.push(appended.position.get()),
                    Err(AppendError::Store(
                        StoreError::Unavailable(_) | StoreError::Interrupted(_),
                    )) => {}
                    Err(error) => panic!("{number}: {error:?}"),
                }
            }
            acknowledged
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut head = store.watch();
    for _ in 0..12 {
        let further = head.borrow_and_update().get() + 40;
        head.wait_for(|head| head.get() >= further).await.unwrap();
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1";
        let killed: i64 = sqlx::query_scalar(sql)
            .bind(&name)
            .fetch_one(&mut control)
            .await
            .unwrap();
        assert!(killed > 0);
    }
    end.store(true, SeqCst);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let last = store.append(added(1, &[1])).await.unwrap();
    let stored = compare(&store).await as u64;
    assert_eq!(stored, last.position.get());
    acknowledged.sort_unstable();
    assert!(acknowledged.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(acknowledged.len() as u64 * 2 < stored);
}
