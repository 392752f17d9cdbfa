//! Histories of concurrent clients on each store are linearizable.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;

use factum_tests::history::{Plan, Tally, run};
use factum_tests::stores::{StoreKind, Stores};

/// Checks some runs, and asserts that each contains enough responses of every kind.
async fn check(kind: StoreKind, runs: u64) {
    let Some(mut stores) = Stores::new(kind).unwrap() else {
        let required = std::env::var("FACTUM_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "no server for {kind:?}, but FACTUM_REQUIRE_SERVICES=1"
        );
        let message = format!("SKIPPED: no server for {kind:?}\n");
        // The test harness does not capture direct writes to the standard error.
        std::io::stderr().write_all(message.as_bytes()).unwrap();
        return;
    };
    // The seed is printed with an anomaly. `check_history --seed` repeats the run.
    let first = u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    for seed in first..first + runs {
        let handles = stores.fresh().await.unwrap();
        let plan = Plan {
            seed,
            clients: 8,
            turns: 150,
        };
        let history = run(plan, &handles).await.unwrap();
        if let Err(anomaly) = history.check() {
            panic!("seed {seed}: {}", history.describe(&anomaly));
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
async fn memory_history_is_linearizable() {
    check(StoreKind::Memory, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_history_over_two_handles_is_linearizable() {
    check(StoreKind::Sqlite, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_history_over_two_handles_is_linearizable() {
    check(StoreKind::Postgres, 3).await;
}
