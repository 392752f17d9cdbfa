//! [`MetricSnapshot`]: the values of a metrics recorder.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, Snapshotter};

/// The recorded values by `name{key=value,key=value}`. A histogram has several values.
pub(crate) struct MetricSnapshot(pub(crate) BTreeMap<String, Vec<f64>>);

impl MetricSnapshot {
    /// Takes the values that were recorded since the previous snapshot.
    pub(crate) fn new(recorder: &Snapshotter) -> Self {
        let recorded = recorder.snapshot().into_vec().into_iter();
        let recorded = recorded.map(|(key, _, _, value)| {
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
        Self(recorded.collect())
    }

    /// Returns the values other than zero whose key starts with `prefix`, with the rest of the key.
    pub(crate) fn of(&self, prefix: &str) -> Vec<(&str, f64)> {
        let recorded = self.0.iter().filter(|(key, _)| key.starts_with(prefix));
        recorded
            .filter_map(|(key, values)| match values[..] {
                [value] if value != 0.0 => Some((&key[prefix.len()..], value)),
                _ => None,
            })
            .collect()
    }
}
