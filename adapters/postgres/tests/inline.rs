//! The tests of inline projections, on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod adapter;
#[path = "support/server.rs"]
#[allow(dead_code, reason = "no test uses all items")]
mod server;
#[path = "../../../framework/sql/tests/shared/inline.rs"]
mod shared;
#[path = "../../../framework/sql/tests/shared/tally.rs"]
mod tally;

use adapter::{KILLS, ONCE, RECOVERS, fresh};
use factum::store::{AppendError, EventStore as _, StoreError};
use tally::{Sums, added, build, compare};

#[tokio::test]
async fn deferred_constraint_rejects_the_append() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = options.inline(Sums::<1>).open().await.unwrap();
    build::<1>(&store).await;
    store.append(added(1, &[ONCE])).await.unwrap();
    let rejected = store.append(added(2, &[4, ONCE, 5])).await;
    let Err(AppendError::Projection { name, error }) = rejected else {
        panic!("{rejected:?}")
    };
    assert_eq!(name, "sums");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("violates unique constraint"), "{cause}");
    assert_eq!(compare(&store).await, 1);
}

#[tokio::test]
async fn savepoint_undoes_a_failed_statement() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = options.inline(Sums::<1>).open().await.unwrap();
    build::<1>(&store).await;
    store.append(added(1, &[1, RECOVERS, 2])).await.unwrap();
    assert_eq!(compare(&store).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_lost_in_a_projection_leaves_no_trace() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = options.inline(Sums::<1>).open().await.unwrap();
    build::<1>(&store).await;
    let mut stored = 0;
    for round in 0..4 {
        let appends = (0..16_u64).map(|number| {
            let amount = if number == 5 { KILLS } else { number };
            let store = store.clone();
            tokio::spawn(async move { store.append(added(number, &[amount])).await })
        });
        for (number, append) in (0..).zip(appends.collect::<Vec<_>>()) {
            match append.await.unwrap() {
                Ok(_) => stored += 1,
                Err(AppendError::Store(StoreError::Unavailable(_))) => {}
                Err(error) => panic!("round {round}, {number}: {error:?}"),
            }
        }
        assert_eq!(compare(&store).await, stored);
        store.append(added(99, &[1])).await.unwrap();
        stored += 1;
        assert_eq!(compare(&store).await, stored);
    }
}
