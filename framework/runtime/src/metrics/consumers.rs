//! The metrics of consumers.

use crate::consumer::ConsumerStatus;

#[cfg(feature = "metrics")]
use factum_core::metrics::{
    PROJECTION_DEAD_LETTERS, PROJECTION_FAILURES, PROJECTION_LAG_EVENTS, PROJECTION_LAG_SECONDS,
    PROJECTION_POSITION, RECORDER_METADATA,
};

/// Records the status of a consumer.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn set_projection_status(status: &ConsumerStatus) {
    #[cfg(feature = "metrics")]
    set_gauges(status, status.lag(), status.lag_time.as_secs_f64());
}

/// Records a failure of the consumer `name`.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn record_projection_failure(name: &str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(PROJECTION_FAILURES.name, "projection" => name.to_owned()).increment(1);
}

/// Sets the gauges of a consumer, with this lag in events and seconds.
#[cfg(feature = "metrics")]
pub fn set_gauges(status: &ConsumerStatus, lag: u64, seconds: f64) {
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
