//! The metrics of consumers.

use crate::consumer::ConsumerStatus;

#[cfg(feature = "metrics")]
use crate::runtime::Runtime;
#[cfg(feature = "metrics")]
use factum_core::metrics::{
    PROJECTION_DEAD_LETTERS, PROJECTION_FAILURES, PROJECTION_LAG_EVENTS, PROJECTION_LAG_SECONDS,
    PROJECTION_POSITION, RECORDER_METADATA,
};
#[cfg(feature = "metrics")]
use factum_core::{error::StoreError, query::Query, read::Read, timestamp::Timestamp};
#[cfg(feature = "metrics")]
use factum_engine::engine::Engine;

/// Records the status of a consumer.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn set_projection_status(status: &ConsumerStatus) {
    #[cfg(feature = "metrics")]
    gauges(status, status.lag(), status.lag_time.as_secs_f64());
}

/// Records a failure of the consumer `name`.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn record_projection_failure(name: &str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(PROJECTION_FAILURES.name, "projection" => name.to_owned()).increment(1);
}

/// Records the lag of every consumer against the current head of the log. Call it right before the metrics are collected: a
/// consumer that is paused or stopped records nothing while its lag grows. Reads one event for each consumer.
///
/// # Errors
/// Returns [`StoreError`] if the store fails.
#[cfg(feature = "metrics")]
pub async fn measure(engine: &Engine, runtime: &Runtime) -> Result<(), StoreError> {
    for status in runtime.status() {
        let next = Read::all(Query::all()).after(status.position).limit(1);
        let page = engine.store().read(next).await?;
        let lag = page.head.get().saturating_sub(status.position.get());
        let age = page.events.first().map_or(0, |waiting| {
            Timestamp::now().as_micros() - waiting.recorded_at.as_micros()
        });
        gauges(&status, lag, age.max(0) as f64 / 1e6);
    }
    Ok(())
}

#[cfg(feature = "metrics")]
fn gauges(status: &ConsumerStatus, lag: u64, seconds: f64) {
    use metrics::{Key, Label};
    // The keys share the name; they are created for the recorder that is installed now.
    let name = metrics::SharedString::from(std::sync::Arc::<str>::from(&*status.name));
    metrics::with_recorder(|recorder| {
        for (metric, value) in [
            (PROJECTION_POSITION, status.position.get() as f64),
            (PROJECTION_LAG_EVENTS, lag as f64),
            (PROJECTION_LAG_SECONDS, seconds),
            (PROJECTION_DEAD_LETTERS, status.dead_letters as f64),
        ] {
            let label = Label::new("projection", name.clone());
            let key = Key::from_parts(metric.name, vec![label]);
            recorder.register_gauge(&key, &RECORDER_METADATA).set(value);
        }
    });
}
