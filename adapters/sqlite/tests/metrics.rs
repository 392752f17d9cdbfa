//! Tests of the metrics for appends, batches and pages.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use factum::store::Metadata;
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, IdempotencyKey, NewEvent, Query, Read,
};
use factum_sqlite::SqliteStore;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use uuid::Uuid;

fn append(stream: &str, events: usize) -> Append {
    let event = || NewEvent {
        id: Uuid::now_v7(),
        name: "account.opened".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    let events = std::iter::repeat_with(event).take(events).collect();
    Append::stream(stream.parse().unwrap(), ExpectedVersion::NoStream, events)
}

/// Returns the recorded values by metric and outcome; the values of a histogram are sorted.
fn recorded(recorder: &Snapshotter) -> BTreeMap<String, Vec<f64>> {
    let metrics = recorder.snapshot().into_vec().into_iter();
    let metrics = metrics.map(|(key, _, _, value)| {
        let key = key.key();
        let labels: Vec<_> = key
            .labels()
            .map(|label| (label.key(), label.value()))
            .collect();
        let name = match labels[..] {
            [("store", "sqlite")] => key.name().to_owned(),
            [("store", "sqlite"), ("outcome", outcome)] => format!("{} {outcome}", key.name()),
            _ => panic!("{labels:?}"),
        };
        let mut values = match value {
            DebugValue::Counter(count) => vec![count as f64],
            DebugValue::Gauge(value) => vec![value.0],
            DebugValue::Histogram(values) => values.into_iter().map(|value| value.0).collect(),
        };
        values.sort_by(f64::total_cmp);
        (name, values)
    });
    metrics.collect()
}

// The only test of this binary: the recorder is global.
#[tokio::test]
async fn metrics_are_recorded_before_the_result_is_returned() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    store.append(append("account-1", 2)).await.unwrap();
    store.append(append("account-1", 1)).await.unwrap_err();
    let keyed = append("account-2", 3).idempotency_key(IdempotencyKey::new("k", b"three"));
    for repeated in [false, true] {
        let appended = store.append(keyed.clone()).await.unwrap();
        assert_eq!(appended.repeated, repeated);
    }
    let other = append("account-3", 1).idempotency_key(IdempotencyKey::new("k", b"one"));
    store.append(other).await.unwrap_err();
    store.read(Read::all(Query::all())).await.unwrap();
    store
        .read(Read::stream("account-1".parse().unwrap()))
        .await
        .unwrap();
    store.close().await;

    let mut recorded = recorded(&snapshotter);
    let durations = recorded.remove("factum_batch_duration_seconds").unwrap();
    assert_eq!(durations.len(), 5);
    assert!(
        durations
            .iter()
            .all(|seconds| (0.0..60.0).contains(seconds))
    );
    let recorded = recorded.iter().map(|(key, values)| (&**key, &**values));
    let recorded: Vec<(&str, &[f64])> = recorded.collect();
    let expected: [(&str, &[f64]); 9] = [
        ("factum_appends_total conflict", &[1.0]),
        ("factum_appends_total failed", &[1.0]),
        ("factum_appends_total repeated", &[1.0]),
        ("factum_appends_total stored", &[2.0]),
        ("factum_batch_appends", &[1.0, 1.0, 1.0, 1.0, 1.0]),
        ("factum_batch_events", &[0.0, 0.0, 0.0, 2.0, 3.0]),
        ("factum_events_read_total", &[7.0]),
        ("factum_events_stored_total", &[5.0]),
        ("factum_pages_read_total", &[2.0]),
    ];
    assert_eq!(recorded, expected);
}
