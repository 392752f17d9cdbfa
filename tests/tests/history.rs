//! What concurrent clients were told by each store has an order that explains it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;

use factum_tests::history::{Plan, Tally, run};
use factum_tests::stores::{StoreKind, Stores};

/// Runs some times, and looks whether there was something to check.
async fn check(kind: StoreKind, runs: u64) {
    let Some(mut stores) = Stores::new(kind).unwrap() else {
        let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "no server for {kind:?}, and FACTUM_REQUIRE_SERVICES=1"
        );
        let loud = format!("SKIPPED: no server for {kind:?}\n");
        // Past the capture of the test harness.
        std::io::stderr().write_all(loud.as_bytes()).unwrap();
        return;
    };
    // Printed with a fault, and enough to ask the same again: `check_history --seed`.
    let first = u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    for seed in first..first + runs {
        let handles = stores.fresh().await.unwrap();
        let plan = Plan {
            seed,
            clients: 8,
            turns: 150,
        };
        let history = run(plan, &handles).await.unwrap();
        if let Err(fault) = history.check() {
            panic!("seed {seed}: {}", history.describe(&fault));
        }
        let Tally {
            stored,
            repeated,
            reused,
            conflicts,
            failed,
            reads,
        } = history.tally();
        let all = [stored, repeated, reused, conflicts, reads];
        assert!(all.iter().all(|count| *count > 5), "seed {seed}: {all:?}");
        assert_eq!(failed, 0, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_in_memory_has_an_order_that_explains_it() {
    check(StoreKind::Memory, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_over_two_handles_of_one_file_has_an_order_that_explains_it() {
    check(StoreKind::Sqlite, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_over_two_handles_of_one_schema_has_an_order_that_explains_it() {
    check(StoreKind::Postgres, 3).await;
}
