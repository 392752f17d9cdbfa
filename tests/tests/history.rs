//! What concurrent clients were told by each store has an order that explains it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::EventStore;
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;
use factum_tests::history::{Plan, Tally, run};

#[path = "../../adapters/postgres/tests/support/server.rs"]
mod server;

/// Printed with a fault, and enough to ask the same again: `check_history --seed`.
fn seed() -> u64 {
    u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos())
}

/// Runs once, and looks whether there was something to check.
async fn check(seed: u64, handles: &[Arc<dyn EventStore>]) {
    let plan = Plan {
        seed,
        clients: 8,
        turns: 150,
    };
    let history = run(plan, handles).await.unwrap();
    if let Err(fault) = history.check() {
        panic!("seed {seed}: {}", history.tell(&fault));
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
    assert!(all.iter().all(|count| *count > 10), "seed {seed}: {all:?}");
    assert_eq!(failed, 0, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_in_memory_has_an_order_that_explains_it() {
    let seed = seed();
    for round in 0..10 {
        check(seed + round, &[Arc::new(MemoryStore::new())]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_over_two_handles_of_one_file_has_an_order_that_explains_it() {
    let (seed, dir) = (seed(), tempfile::tempdir().unwrap());
    for round in 0..3 {
        let file = dir.path().join(format!("{round}.db"));
        let mut handles: Vec<Arc<dyn EventStore>> = Vec::new();
        for _ in 0..2 {
            handles.push(Arc::new(SqliteStore::open(&file).await.unwrap()));
        }
        check(seed + round, &handles).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_over_two_handles_of_one_schema_has_an_order_that_explains_it() {
    let seed = seed();
    for round in 0..3 {
        let Some(options) = server::fresh() else {
            return;
        };
        let mut handles: Vec<Arc<dyn EventStore>> = Vec::new();
        for _ in 0..2 {
            handles.push(Arc::new(options.clone().open().await.unwrap()));
        }
        check(seed + round, &handles).await;
    }
}
