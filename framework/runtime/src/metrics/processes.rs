//! The metrics of process managers and schedules, recorded by the node that does their work.

use factum_engine::error::StoreError;

#[cfg(feature = "metrics")]
use factum_core::metrics::{
    DEADLINE_DELAY, DEADLINES_FIRED, Metric, PROCESS_DUE, PROCESS_FAILED_DELIVERIES, PROCESS_WORK,
    RECORDER_METADATA,
};
use factum_core::timestamp::Timestamp;

/// The result of a command of a process manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkOutcome {
    /// It was executed.
    Done,
    /// The domain rejected it.
    Rejected,
    /// It failed permanently.
    Failed,
}

/// Records the result of a command of the process manager `name`.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn record_process_work(name: &'static str, outcome: WorkOutcome) {
    #[cfg(feature = "metrics")]
    {
        let outcome = match outcome {
            WorkOutcome::Done => "done",
            WorkOutcome::Rejected => "rejected",
            WorkOutcome::Failed => "failed",
        };
        let outcome = metrics::Label::from_static_parts("outcome", outcome);
        let key = key(PROCESS_WORK, name).with_extra_labels(vec![outcome]);
        metrics::with_recorder(|recorder| {
            recorder
                .register_counter(&key, &RECORDER_METADATA)
                .increment(1);
        });
    }
}

/// Records the number of instances of the process manager `name` with due work.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn set_process_due(name: &'static str, instances: usize) {
    #[cfg(feature = "metrics")]
    gauge(PROCESS_DUE, name, instances as f64);
}

/// Records the number of failed deliveries of the process manager `name`.
///
/// `count` returns the number. Without the feature `metrics`, it is not polled.
#[inline]
#[cfg_attr(
    not(feature = "metrics"),
    allow(unused_variables, clippy::unused_async)
)]
pub async fn set_failed_deliveries(
    name: &'static str,
    count: impl Future<Output = Result<usize, StoreError>>,
) {
    #[cfg(feature = "metrics")]
    if let Ok(items) = count.await {
        gauge(PROCESS_FAILED_DELIVERIES, name, items as f64);
    }
}

/// Records that a deadline of the process manager `name` was handled.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn record_deadline(name: &'static str, due: Timestamp, now: Timestamp) {
    #[cfg(feature = "metrics")]
    metrics::with_recorder(|recorder| {
        let fired = key(DEADLINES_FIRED, name);
        recorder
            .register_counter(&fired, &RECORDER_METADATA)
            .increment(1);
        let delay = recorder.register_histogram(&key(DEADLINE_DELAY, name), &RECORDER_METADATA);
        delay.record(now.since(due).as_secs_f64());
    });
}

#[cfg(feature = "metrics")]
fn gauge(metric: Metric, name: &'static str, value: f64) {
    metrics::with_recorder(|recorder| {
        let key = key(metric, name);
        recorder.register_gauge(&key, &RECORDER_METADATA).set(value);
    });
}

#[cfg(feature = "metrics")]
fn key(metric: Metric, name: &'static str) -> metrics::Key {
    let process = metrics::Label::from_static_parts("process", name);
    metrics::Key::from_parts(metric.name, vec![process])
}
