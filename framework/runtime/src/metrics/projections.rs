//! What is told of projections.

use crate::projections::ProjectionStatus;

#[cfg(feature = "metrics")]
use crate::projections::Projections;
#[cfg(feature = "metrics")]
use factum_core::metrics::{
    PROJECTION_DEAD_LETTERS, PROJECTION_FAILURES, PROJECTION_LAG_EVENTS, PROJECTION_LAG_SECONDS,
    PROJECTION_POSITION, RECORDER_METADATA,
};
#[cfg(feature = "metrics")]
use factum_core::{error::StoreError, query::Query, read::Read, timestamp::Timestamp};
#[cfg(feature = "metrics")]
use factum_engine::engine::Engine;

/// How a projection stands now, as it told everybody.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn projection_stands(status: &ProjectionStatus) {
    #[cfg(feature = "metrics")]
    gauges(status, status.lag(), status.behind.as_secs_f64());
}

/// Something went wrong in the projection `name`.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn projection_failed(name: &str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(PROJECTION_FAILURES.name, "projection" => name.to_owned()).increment(1);
}

/// Tells anew how each projection stands, beside the store as it is now. For right before the metrics are collected: a
/// projection that rests, or is stuck, tells nothing by itself while its lag grows. Reads one event for each
/// projection.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
#[cfg(feature = "metrics")]
pub async fn measure(engine: &Engine, projections: &Projections) -> Result<(), StoreError> {
    for status in projections.status() {
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
fn gauges(status: &ProjectionStatus, lag: u64, seconds: f64) {
    use metrics::{Key, Label};
    // The name is shared by the keys, which are made anew for whichever recorder is installed by now.
    let name = metrics::SharedString::from(std::sync::Arc::<str>::from(&*status.name));
    metrics::with_recorder(|recorder| {
        for (metric, value) in [
            (PROJECTION_POSITION, status.position.get() as f64),
            (PROJECTION_LAG_EVENTS, lag as f64),
            (PROJECTION_LAG_SECONDS, seconds),
            (PROJECTION_DEAD_LETTERS, status.parked as f64),
        ] {
            let label = Label::new("projection", name.clone());
            let key = Key::from_parts(metric.name, vec![label]);
            recorder.register_gauge(&key, &RECORDER_METADATA).set(value);
        }
    });
}
