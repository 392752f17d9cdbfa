//! What a recorder was told.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, Snapshotter};

/// By name and labels, as `name{key=value,key=value}`; of a histogram, its values.
pub(crate) struct MetricSnapshot(pub(crate) BTreeMap<String, Vec<f64>>);

impl MetricSnapshot {
    /// Since it was looked last.
    pub(crate) fn new(recorder: &Snapshotter) -> Self {
        let told = recorder.snapshot().into_vec().into_iter();
        let told = told.map(|(key, _, _, value)| {
            let labels = key.key().labels();
            let labels: Vec<String> = labels
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let values = match value {
                DebugValue::Counter(count) => vec![count as f64],
                DebugValue::Gauge(value) => vec![value.0],
                DebugValue::Histogram(values) => values.iter().map(|value| value.0).collect(),
            };
            (
                format!("{}{{{}}}", key.key().name(), labels.join(",")),
                values,
            )
        });
        Self(told.collect())
    }

    /// The values below `prefix` that are not nothing.
    pub(crate) fn of(&self, prefix: &str) -> Vec<(&str, f64)> {
        let told = self.0.iter().filter(|(key, _)| key.starts_with(prefix));
        told.filter_map(|(key, values)| match values[..] {
            [value] if value != 0.0 => Some((&key[prefix.len()..], value)),
            _ => None,
        })
        .collect()
    }
}
