//! The history checker detects broken stores under concurrent load.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::store::EventStore;
use factum_testkit::Backend as _;
use factum_tests::history::{Plan, run};

#[allow(dead_code, reason = "histories do not show faults of snapshots")]
#[path = "../../adapters/memory/tests/support/broken_store.rs"]
mod broken_store;

use broken_store::{Fault, Place};

const SEEDS: std::ops::Range<u64> = 0..50;

/// Whether one of the runs over two handles shows an anomaly.
async fn is_detected<const FAULT: usize>() -> bool {
    for seed in SEEDS {
        let backend = Place::<FAULT>::create().await;
        let mut handles: Vec<Arc<dyn EventStore>> = Vec::new();
        for _ in 0..2 {
            handles.push(Arc::new(backend.open().await));
        }
        let plan = Plan {
            seed,
            clients: 6,
            turns: 40,
        };
        let history = run(plan, &handles).await.unwrap();
        if let Err(anomaly) = history.check() {
            assert!(!history.describe(&anomaly).is_empty());
            return true;
        }
    }
    false
}

macro_rules! detects {
    ($($name:ident: $fault:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            assert!(is_detected::<{ Fault::$fault as usize }>().await);
        }
    )*};
}

detects! {
    changed_data_is_detected: ChangesData;
    check_of_written_streams_only_is_detected: ChecksOnlyWrittenStreams;
    ignored_condition_tags_are_detected: ConditionsIgnoreTags;
    inclusive_read_cursor_is_detected: IncludesCursor;
    lost_idempotency_keys_are_detected: IgnoresKeys;
    ignored_conditions_are_detected: IgnoresConditions;
    ignored_expected_versions_are_detected: IgnoresExpectedVersions;
    stale_reads_are_detected: ReadsStale;
    false_conflicts_are_detected: RejectsSomeAppends;
    ignored_key_fingerprint_is_detected: IgnoresFingerprints;
    missing_more_flag_is_detected: ReportsNoMoreEvents;
    skipped_event_is_detected: SkipsEvents;
    partial_append_is_detected: StoresPartially;
    swallowed_conflicts_are_detected: SwallowsConflicts;
    ignored_query_tags_are_detected: UsesOnlyFirstTag;
}
