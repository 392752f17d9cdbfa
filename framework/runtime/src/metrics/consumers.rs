//! The metrics of consumers.

use crate::consumer::ConsumerStatus;

#[cfg(feature = "metrics")]
use factum_core::metrics::{
    CONSUMER_DEAD_LETTERS, CONSUMER_FAILURES, CONSUMER_LAG_EVENTS, CONSUMER_LAG_SECONDS,
    CONSUMER_POSITION, RECORDER_METADATA,
};

/// Records the status of a consumer.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn set_consumer_status(status: &ConsumerStatus) {
    #[cfg(feature = "metrics")]
    set_gauges(status, status.lag(), status.lag_time().as_secs_f64());
}

/// Records a failure of the consumer `name`.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn record_consumer_failure(name: &str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(CONSUMER_FAILURES.name, "consumer" => name.to_owned()).increment(1);
}

/// Sets the gauges of a consumer, with this lag in events and seconds.
#[cfg(feature = "metrics")]
pub fn set_gauges(status: &ConsumerStatus, lag: u64, seconds: f64) {
    use metrics::{Key, Label};
    // The keys share the name; they are created for the recorder that is installed now.
    let name = metrics::SharedString::from(std::sync::Arc::<str>::from(&*status.name));
    metrics::with_recorder(|recorder| {
        for (metric, value) in [
            (CONSUMER_POSITION, status.position.get() as f64),
            (CONSUMER_LAG_EVENTS, lag as f64),
            (CONSUMER_LAG_SECONDS, seconds),
            (CONSUMER_DEAD_LETTERS, status.dead_letters as f64),
        ] {
            let label = Label::new("consumer", name.clone());
            let key = Key::from_parts(metric.name, vec![label]);
            recorder.register_gauge(&key, &RECORDER_METADATA).set(value);
        }
    });
}
