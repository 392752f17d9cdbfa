//! Inline projections and their builds: another version, a rebuild, a worker beside them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;
#[path = "support/tally.rs"]
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use factum::store::{Changes, DocumentStore as _};
use factum::prelude::*;
use factum::projections::control_key;
use factum::ProjectionState;
use factum::store::{AppendError, EventStore as _};
use factum_postgres::{PostgresStore, sqlx};
use tally::{Sums, added, same, seen, sees};
use tokio::task::JoinHandle;

/// Appends one amount after the other, and finds each at once.
fn write(store: &PostgresStore, stream: u64, end: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (store, end) = (store.clone(), end.clone());
    tokio::spawn(async move {
        let mut written = 0;
        while !end.load(SeqCst) {
            let appended = store.append(added(stream, &[1])).await.unwrap();
            let position = appended.position.get();
            assert!(sees(store.pool(), position).await, "{position}");
            written += 1;
        }
        written
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_version_is_built_anew_and_nobody_sees_a_half() {
    let Some(options) = server::fresh() else {
        return;
    };
    let old = options.clone().inline(Sums::<1>).open().await.unwrap();
    for stream in 0..3 {
        old.append(added(stream, &[1; 1_000])).await.unwrap();
    }
    let end: Arc<AtomicBool> = Arc::default();
    let reader = {
        let (pool, end) = (old.pool().clone(), end.clone());
        tokio::spawn(async move {
            let mut factors = Vec::new();
            while !end.load(SeqCst) {
                let (count, sum) = seen(&pool).await;
                assert_eq!(count, 3_000);
                factors.push(sum / 3_000);
                assert_eq!(sum % 3_000, 0);
            }
            factors
        })
    };
    let new = options.clone().inline(Sums::<2>).open().await.unwrap();
    assert_eq!(seen(new.pool()).await, (3_000, 6_000));
    end.store(true, SeqCst);
    let mut factors = reader.await.unwrap();
    factors.dedup();
    assert!(matches!(factors[..], [] | [1 | 2] | [1, 2]), "{factors:?}");
    new.append(added(1, &[1])).await.unwrap();
    assert_eq!(seen(old.pool()).await, (3_001, 6_002));
    // Who has the old code moves the old build on, and does not show it.
    old.append(added(1, &[1])).await.unwrap();
    assert_eq!(seen(old.pool()).await, (3_001, 6_002));
    new.append(added(1, &[1])).await.unwrap();
    assert_eq!(seen(old.pool()).await, (3_003, 6_006));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_beside_it_tells_of_it_and_rebuilds_it() {
    let Some(options) = server::fresh() else {
        return;
    };
    let inline = || options.clone().inline(Sums::<1>).open();
    let (store, other) = (inline().await.unwrap(), inline().await.unwrap());
    let engine = Engine::new(store.clone());
    let projections = Projections::builder(&engine)
        .with(store.read_model(Sums::<1>))
        .start();
    let end: Arc<AtomicBool> = Arc::default();
    let writers: Vec<_> = (0..8)
        .map(|number| write([&store, &other][number as usize % 2], number, &end))
        .collect();
    let mut status = projections.watch("sums").unwrap();
    let live = status.wait_for(|status| status.state == ProjectionState::Live);
    assert_eq!(live.await.unwrap().build, 1);
    projections.rebuild("sums").await.unwrap();
    let rebuilt = status.wait_for(|status| status.build == 2);
    rebuilt.await.unwrap();
    let head = store.watch().borrow().get();
    let mut watch = store.watch();
    let further = watch.wait_for(|now| now.get() > head + 100);
    further.await.unwrap();
    end.store(true, SeqCst);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    let head = *store.watch().borrow();
    projections.wait_for(head).await.unwrap();
    let status = &projections.status()[0];
    assert_eq!(status.parked, 0);
    assert_eq!(status.last_error, None);
    assert_eq!(same(&store).await as u64, written);
    projections.stop().await;
    store.append(added(1, &[1])).await.unwrap();
    assert_eq!(same(&other).await as u64, written + 1);
}

#[tokio::test]
async fn what_ran_behind_the_appends_goes_on_inline_and_back() {
    let Some(options) = server::fresh() else {
        return;
    };
    for round in 0..3_u64 {
        let bare = options.clone().open().await.unwrap();
        let last = bare.append(added(1, &[round; 100])).await.unwrap().position;
        let engine = Engine::new(bare.clone());
        let projections = Projections::builder(&engine)
            .with(bare.read_model(Sums::<1>))
            .start();
        projections.wait_for(last).await.unwrap();
        projections.stop().await;
        let store = options.clone().inline(Sums::<1>).open().await.unwrap();
        store.append(added(1, &[round; 100])).await.unwrap();
        assert_eq!(same(&store).await as u64, (round + 1) * 200);
        let tables: Vec<String> = sqlx::query_scalar(
            "select tablename::text from pg_tables
             where schemaname = current_schema() and tablename like 'added%'",
        )
        .fetch_all(store.pool())
        .await
        .unwrap();
        assert_eq!(tables, ["added__1"]);
    }
}

#[tokio::test]
async fn what_is_ordered_elsewhere_counts_from_the_next_append_on() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.clone().inline(Sums::<1>).open().await.unwrap();
    // It finds itself alone, and does not look any more.
    for _ in 0..3 {
        store.append(added(1, &[1])).await.unwrap();
    }
    let engine = Engine::new(options.clone().open().await.unwrap());
    let elsewhere = Projections::builder(&engine)
        .with(options.clone().open().await.unwrap().read_model(Sums::<1>))
        .start();
    elsewhere.pause("sums").await.unwrap();
    store.append(added(1, &[1])).await.unwrap();
    assert_eq!(seen(store.pool()).await, (3, 3));
    elsewhere.stop().await;
    let elsewhere = Projections::builder(&engine)
        .with(options.open().await.unwrap().read_model(Sums::<1>))
        .start();
    elsewhere.resume("sums").await.unwrap();
    elsewhere.stop().await;
    for _ in 0..3 {
        let appended = store.append(added(1, &[1])).await.unwrap();
        assert!(sees(store.pool(), appended.position.get()).await);
    }
    assert_eq!(same(&store).await, 7);
}

#[tokio::test]
async fn an_append_may_change_the_documents_of_a_projection() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.inline(Sums::<1>).open().await.unwrap();
    for round in 1..=4 {
        let control = store.find_documents(&[control_key("sums")]).await.unwrap();
        let [control] = &control[..] else {
            panic!("{control:?}")
        };
        let same_again = Changes::new().put_if(&control.key, control.revision, &control.value);
        let append = added(1, &[1, 2]).with_changes(same_again);
        store.append(append).await.unwrap();
        let required = Changes::new().require(&control.key, control.revision);
        let late = store.append(added(1, &[3]).with_changes(required)).await;
        assert!(matches!(late, Err(AppendError::Conflict(_))), "{late:?}");
        assert_eq!(same(&store).await, 2 * round);
    }
}
