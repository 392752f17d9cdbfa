//! The metrics of consumer groups. The number of their labels is limited.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use factum::metrics::{Metric, MetricKind};
use metrics::SharedString;

use super::group_document::GroupName;

/// The maximum number of groups with metrics of their own.
pub const MAX_LABELS: usize = 100;

/// The label of the redeliveries of all other groups.
const OTHER: &str = "other";

/// The lag of a group.
pub const GROUP_LAG: Metric = Metric {
    name: "event_store_group_lag_events",
    kind: MetricKind::Gauge,
    unit: "events",
    labels: &["group"],
    meaning: "Events in the log after the position up to which the group has settled every event, also if no consumer is connected; each server reports the same",
};

/// The number of dead letters of a group.
pub const GROUP_DEAD_LETTERS: Metric = Metric {
    name: "event_store_group_dead_letters",
    kind: MetricKind::Gauge,
    unit: "events",
    labels: &["group"],
    meaning: "Dead letters of the group; each server reports the same",
};

/// The number of consumers of a group.
pub const GROUP_CONSUMERS: Metric = Metric {
    name: "event_store_group_consumers",
    kind: MetricKind::Gauge,
    unit: "consumers",
    labels: &["group"],
    meaning: "Consumers of the group that are connected to this server",
};

/// The number of unanswered deliveries of a group.
pub const GROUP_IN_FLIGHT: Metric = Metric {
    name: "event_store_group_in_flight_events",
    kind: MetricKind::Gauge,
    unit: "events",
    labels: &["group"],
    meaning: "Events that this server has delivered to consumers of the group, and that are not answered",
};

/// The number of repeated deliveries of a group.
pub const GROUP_REDELIVERIES: Metric = Metric {
    name: "event_store_group_redeliveries_total",
    kind: MetricKind::Counter,
    unit: "deliveries",
    labels: &["group"],
    meaning: "Deliveries by this server after the first attempt of an event",
};

/// The names of the groups that are labels.
static LABELS: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

fn labels() -> MutexGuard<'static, BTreeSet<String>> {
    // No function panics while it changes the set.
    LABELS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the label of a group, or `None` if there are too many groups.
fn label(name: &GroupName) -> Option<SharedString> {
    let mut labels = labels();
    let name = name.as_str();
    if !labels.contains(name) {
        if labels.len() >= MAX_LABELS {
            return None;
        }
        labels.insert(name.to_owned());
    }
    Some(name.to_owned().into())
}

/// Counts a delivery that is not the first attempt of its event.
pub fn record_redelivery(name: &GroupName) {
    let label = label(name).unwrap_or(SharedString::const_str(OTHER));
    metrics::counter!(GROUP_REDELIVERIES.name, "group" => label).increment(1);
}

/// The values of the gauges of a group.
#[derive(Debug)]
pub struct GroupSample {
    /// The name.
    pub name: GroupName,
    /// The number of events that are not settled.
    pub lag: u64,
    /// The number of dead letters.
    pub dead_letters: u64,
    /// The number of consumers of this server.
    pub consumers: usize,
    /// The number of their unanswered deliveries.
    pub in_flight: u32,
}

/// Sets the gauges of all groups, which are the first ones by their names.
pub fn record_samples(samples: &[GroupSample]) {
    forget_deleted(samples);
    for sample in samples {
        if let Some(label) = label(&sample.name) {
            set(&GROUP_LAG, &label, sample.lag as f64);
            set(&GROUP_DEAD_LETTERS, &label, sample.dead_letters as f64);
            set(&GROUP_CONSUMERS, &label, sample.consumers as f64);
            set(&GROUP_IN_FLIGHT, &label, f64::from(sample.in_flight));
        }
    }
}

/// Sets the gauges of groups that do not exist any more to 0, so that others can have their places.
fn forget_deleted(samples: &[GroupSample]) {
    let mut labels = labels();
    let exists = |name: &String| samples.iter().any(|sample| sample.name.as_str() == name);
    let deleted: Vec<_> = labels.extract_if(.., |name| !exists(name)).collect();
    drop(labels);
    for name in deleted {
        let label = SharedString::from(name);
        for gauge in [
            GROUP_LAG,
            GROUP_DEAD_LETTERS,
            GROUP_CONSUMERS,
            GROUP_IN_FLIGHT,
        ] {
            set(&gauge, &label, 0.0);
        }
    }
}

fn set(gauge: &Metric, label: &SharedString, value: f64) {
    metrics::gauge!(gauge.name, "group" => label.clone()).set(value);
}
