//! Metrics of commands and projections, and the table of all metrics in the book.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/metric_snapshot.rs"]
mod metric_snapshot;

use std::sync::Arc;
use std::time::Duration;

use factum::engine::{ExecuteError, RetryPolicy};
use factum::metrics::{ALL, MetricKind};
use factum::prelude::*;
use factum::store::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent};
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty};
use metric_snapshot::MetricSnapshot;
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Dimmed { to: u64 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u64, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Dim {
    #[id]
    lamp: u64,
    to: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the lamp would be too bright")]
struct TooBright;

impl Decide for Dim {
    type Error = TooBright;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, TooBright> {
        match self.to {
            0..=100 => Ok(LampEvent::Dimmed { to: self.to }.into()),
            _ => Err(TooBright),
        }
    }
}

#[derive(Projection, Default)]
#[projection(name = "lamps", events = LampEvent)]
struct Lamps;

impl Project<LampEvent> for Lamps {
    fn project(&mut self, _: &Recorded<LampEvent>) {}
}

const AT_ONCE: RetryPolicy = RetryPolicy {
    attempts: 3,
    base: Duration::ZERO,
    cap: Duration::from_secs(60),
};

/// Runs `work` on this thread, and returns the metrics that it recorded.
fn record(work: impl Future<Output = ()>) -> MetricSnapshot {
    let recorder = DebuggingRecorder::new();
    let snapshotter: Snapshotter = recorder.snapshotter();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work);
    MetricSnapshot::new(&snapshotter)
}

fn unreadable() -> NewEvent {
    NewEvent {
        id: uuid::Uuid::now_v7(),
        name: "lamp.dimmed".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: r#"{"to":"the left"}"#.into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    }
}

fn dim(to: u64) -> Dim {
    Dim { lamp: 1, to }
}

#[test]
fn command_metrics_count_outcomes_and_durations() {
    let recorded = record(async {
        let engine = Engine::new(MemoryStore::new());
        engine.execute(dim(1)).await.unwrap();
        engine.execute(dim(2)).idempotency_key("k").await.unwrap();
        engine.execute(dim(2)).idempotency_key("k").await.unwrap();
        engine.execute(dim(101)).await.unwrap_err();
        engine
            .execute(dim(3))
            .expected_version(9)
            .await
            .unwrap_err();
        engine
            .execute(dim(4))
            .idempotency_key("k")
            .await
            .unwrap_err();
        let too_long = "k".repeat(257);
        engine
            .execute(dim(4))
            .idempotency_key(too_long)
            .await
            .unwrap_err();
    });
    let expected = [
        ("conflict}", 1.0),
        ("done}", 2.0),
        ("invalid}", 2.0),
        ("rejected}", 1.0),
        ("repeated}", 1.0),
    ];
    assert_eq!(
        recorded.of("factum_commands_total{command=Dim,outcome="),
        expected
    );
    let durations = &recorded.0["factum_command_duration_seconds{command=Dim}"];
    assert_eq!(durations.len(), 7);
    assert!(
        durations
            .iter()
            .all(|seconds| (0.0..60.0).contains(seconds))
    );
    // A wrong expected version of the caller is not counted as a conflict.
    assert_eq!(recorded.of("factum_conflicts_total"), []);
}

#[test]
fn conflicts_and_retries_are_counted() {
    let recorded = record(async {
        let store = MemoryStore::new();
        let engine = Engine::new(store.clone());
        let once = Engine::builder(store.clone())
            .retry(RetryPolicy::NEVER)
            .build();
        let others = Engine::new(store);
        for engine in [&engine, &once] {
            engine.execute(dim(1)).await.unwrap();
        }
        others.execute(dim(2)).await.unwrap();
        let receipt = engine.execute(dim(3)).await.unwrap();
        assert_eq!(receipt.attempts(), 2);
        let conflict = once.execute(dim(4)).await;
        assert!(matches!(
            conflict,
            Err(ExecuteError::Conflict { attempts: 1, .. })
        ));
    });
    assert_eq!(
        recorded.of("factum_conflicts_total"),
        [("{command=Dim}", 2.0)]
    );
    let retries = [("{command=Dim,cause=conflict}", 1.0)];
    assert_eq!(recorded.of("factum_retries_total"), retries);
    let commands = [("conflict}", 1.0), ("done}", 4.0)];
    assert_eq!(
        recorded.of("factum_commands_total{command=Dim,outcome="),
        commands
    );
}

#[test]
fn retries_on_an_unavailable_store_are_counted() {
    let recorded = record(async {
        let faults = Faults {
            rejected: 1.0,
            ..Faults::NONE
        };
        let store = Faulty::new(MemoryStore::new(), 1, faults);
        let engine = Engine::builder(store).retry(AT_ONCE).build();
        engine.execute(dim(1)).await.unwrap_err();
    });
    let retries = [("{command=Dim,cause=store}", 2.0)];
    assert_eq!(recorded.of("factum_retries_total"), retries);
    let commands = [("{command=Dim,outcome=failed}", 1.0)];
    assert_eq!(recorded.of("factum_commands_total"), commands);
}

#[test]
fn projection_metrics_report_position_and_failures() {
    let recorded = record(async {
        let store = MemoryStore::new();
        let engine = Engine::new(store.clone());
        let runtime = Runtime::builder(&engine)
            .projection(InMemory::<Lamps>::new())
            .retry(AT_ONCE)
            .start()
            .await
            .unwrap();
        engine.execute(dim(1)).await.unwrap();
        let stream = "lamp-2".parse().unwrap();
        let append = Append::stream(stream, ExpectedVersion::Any, vec![unreadable()]);
        store.append(append).await.unwrap();
        engine.execute(dim(3)).await.unwrap();
        runtime.wait_for(3.into()).await.unwrap();
    });
    let of = |name: &str| recorded.of(&format!("factum_consumer_{name}"));
    assert_eq!(of("position"), [("{consumer=lamps}", 3.0)]);
    assert_eq!(of("dead_letters"), [("{consumer=lamps}", 1.0)]);
    assert_eq!(of("failures_total"), [("{consumer=lamps}", 3.0)]);
    assert_eq!(
        recorded.0["factum_consumer_lag_events{consumer=lamps}"],
        [0.0]
    );
    assert_eq!(
        recorded.0["factum_consumer_lag_seconds{consumer=lamps}"],
        [0.0]
    );
}

#[test]
fn measure_reports_lag_of_a_paused_projection() {
    let recorded = record(async {
        let engine = Engine::new(MemoryStore::new());
        let runtime = Runtime::builder(&engine)
            .projection(InMemory::<Lamps>::new())
            .start()
            .await
            .unwrap();
        engine.execute(dim(1)).await.unwrap();
        runtime.wait_for(1.into()).await.unwrap();
        let lamps = runtime.projection::<Lamps>().unwrap();
        lamps.pause().await.unwrap();
        let mut status = lamps.watch();
        let is_paused = |state| state == factum::runtime::ConsumerState::Paused;
        status
            .wait_for(|status| is_paused(status.state))
            .await
            .unwrap();
        for to in 2..5 {
            engine.execute(dim(to)).await.unwrap();
        }
        factum::metrics::measure(&engine, &runtime).await.unwrap();
    });
    let of = |name: &str| recorded.of(&format!("factum_consumer_{name}"));
    assert_eq!(of("position"), [("{consumer=lamps}", 1.0)]);
    assert_eq!(of("lag_events"), [("{consumer=lamps}", 3.0)]);
    let [(_, seconds)] = of("lag_seconds")[..] else {
        panic!("expected one lag value")
    };
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
}

#[test]
fn every_metric_is_described() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        factum::metrics::describe();
        for metric in ALL {
            match metric.kind {
                MetricKind::Counter => metrics::counter!(metric.name).increment(1),
                MetricKind::Gauge => metrics::gauge!(metric.name).set(1),
                MetricKind::Histogram(bounds) => {
                    assert!(bounds.is_sorted_by(|bound, next| bound < next));
                    metrics::histogram!(metric.name).record(1);
                }
            }
        }
    });
    let recorded = snapshotter.snapshot().into_vec();
    assert_eq!(recorded.len(), ALL.len());
    for (key, unit, meaning, _) in recorded {
        let name = key.key().name();
        let metric = ALL.iter().find(|metric| metric.name == name).unwrap();
        assert_eq!(&*meaning.unwrap(), metric.meaning);
        assert_eq!(
            unit == Some(metrics::Unit::Seconds),
            metric.unit == "seconds"
        );
    }
}

#[test]
fn book_lists_every_metric() {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/src/reference/metrics.md"
    );
    let page = std::fs::read_to_string(page).unwrap();
    let named = |line: &&str| line.starts_with("| `factum_");
    let rows: Vec<&str> = page.lines().filter(named).collect();
    let expected: Vec<String> = ALL
        .iter()
        .map(|metric| {
            let labels = metric.labels.iter().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(", ");
            let (name, kind, unit) = (metric.name, metric.kind.as_str(), metric.unit);
            format!(
                "| `{name}` | {kind} | {unit} | {labels} | {} |",
                metric.meaning
            )
        })
        .collect();
    assert_eq!(rows, expected, "\n{}\n", expected.join("\n"));
}
