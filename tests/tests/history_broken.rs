//! The history checker finds what is wrong with stores that are broken in one way, from outside and at work.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::EventStore;
use factum::testkit::Backend as _;
use factum_tests::history::{Plan, run};

#[allow(dead_code, reason = "the faults of snapshots show in no history")]
#[path = "../../adapters/memory/tests/support/broken_store.rs"]
mod broken_store;

use broken_store::{Fault, Place};

const SEEDS: std::ops::Range<u64> = 0..50;

/// Whether one of some runs over two handles shows that something is wrong.
async fn is_found<const FAULT: usize>() -> bool {
    for seed in SEEDS {
        let place = Place::<FAULT>::create().await;
        let mut handles: Vec<Arc<dyn EventStore>> = Vec::new();
        for _ in 0..2 {
            handles.push(Arc::new(place.open().await));
        }
        let plan = Plan {
            seed,
            clients: 6,
            turns: 40,
        };
        let history = run(plan, &handles).await.unwrap();
        if let Err(fault) = history.check() {
            assert!(!history.describe(&fault).is_empty());
            return true;
        }
    }
    false
}

macro_rules! finds {
    ($($name:ident: $fault:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            assert!(is_found::<{ Fault::$fault as usize }>().await);
        }
    )*};
}

finds! {
    a_store_that_changes_data_is_found: ChangesData;
    a_store_that_checks_only_what_it_writes_is_found: ChecksOnlyWhatItWrites;
    a_store_whose_conditions_ignore_tags_is_found: ConditionsIgnoreTags;
    a_store_that_counts_from_the_cursor_is_found: CountsFromTheCursor;
    a_store_that_forgets_keys_is_found: ForgetsKeys;
    a_store_that_ignores_conditions_is_found: IgnoresConditions;
    a_store_that_ignores_expectations_is_found: IgnoresExpectations;
    a_store_that_reads_stale_is_found: ReadsStale;
    a_store_that_rejects_some_neighbours_is_found: RefusesSomeNeighbours;
    a_store_that_reuses_keys_is_found: ReusesKeys;
    a_store_that_says_there_is_no_more_is_found: SaysThereIsNoMore;
    a_store_that_skips_an_event_is_found: SkipsAnEvent;
    a_store_that_stores_half_is_found: StoresHalf;
    a_store_that_swallows_conflicts_is_found: SwallowsConflicts;
    a_store_whose_tags_are_optional_is_found: TagsAreOptional;
}
