//! The tests of inline projections, on SQLite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod adapter;
#[path = "../../../framework/sql/tests/shared/inline.rs"]
mod shared;
#[path = "../../../framework/sql/tests/shared/tally.rs"]
mod tally;

use adapter::{CANCELLED, fresh};
use factum::store::EventStore as _;
use tally::{Sums, added, build, has_effect, totals};

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_statement_is_in_the_transaction() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = options.inline(Sums::<1>).open().await.unwrap();
    build::<1>(&store).await;
    for turn in 0..200 {
        let amounts = [1, CANCELLED, 2, CANCELLED];
        let appended = store.append(added(turn % 7, &amounts)).await.unwrap();
        assert!(has_effect(&store, appended.position.get()).await);
    }
    assert_eq!(totals(&store).await.0, 800);
}
