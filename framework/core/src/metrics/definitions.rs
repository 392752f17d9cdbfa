//! The definitions of all metrics.

/// The definition of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name in the `metrics` facade.
    pub name: &'static str,
    /// The kind of the metric.
    pub kind: MetricKind,
    /// The unit, in the plural, for example `seconds` or `events`.
    pub unit: &'static str,
    /// The keys of the labels.
    pub labels: &'static [&'static str],
    /// The meaning of a value.
    pub meaning: &'static str,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// A number that only increases.
    Counter,
    /// A number that increases and decreases.
    Gauge,
    /// A distribution of values, with suitable upper bounds for buckets.
    Histogram(&'static [f64]),
}

impl MetricKind {
    /// Returns `counter`, `gauge` or `histogram`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Durations from a tenth of a millisecond to ten seconds.
const SECONDS: MetricKind = MetricKind::Histogram(&[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
]);

/// Sizes of batches.
const SIZES: MetricKind = MetricKind::Histogram(&[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0,
]);

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $unit:literal, [$($label:literal),*], $meaning:literal;)*) => {
        $(
            #[doc = concat!($meaning, ".")]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: $kind,
                unit: $unit,
                labels: &[$($label),*],
                meaning: $meaning,
            };
        )*

        /// All metrics of the framework.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    COMMANDS = "factum_commands_total", MetricKind::Counter, "commands", ["command", "outcome"],
        "Finished commands, by outcome: `done`, `repeated` (the first result was returned), `rejected` (by the domain), `conflict`, `invalid` (an id, a key or the size of the request) or `failed`";
    COMMAND_DURATION = "factum_command_duration_seconds", SECONDS, "seconds", ["command"],
        "Time from the call to the result, including waits and retries, for every outcome";
    CONFLICTS = "factum_conflicts_total", MetricKind::Counter, "decisions", ["command"],
        "Decisions that were not stored because of a conflict with another writer; most commands are retried";
    RETRIES = "factum_retries_total", MetricKind::Counter, "attempts", ["command", "cause"],
        "Retries of commands, by cause: a `conflict`, or an unavailable `store`";
    APPENDS = "factum_appends_total", MetricKind::Counter, "appends", ["store", "outcome"],
        "Finished appends, by outcome: `stored`, `repeated`, `conflict` or `failed`";
    EVENTS_STORED = "factum_events_stored_total", MetricKind::Counter, "events", ["store"],
        "Events that this node made durable";
    BATCH_APPENDS = "factum_batch_appends", SIZES, "appends", ["store"],
        "Appends in one commit";
    BATCH_EVENTS = "factum_batch_events", SIZES, "events", ["store"],
        "Events in one commit";
    BATCH_DURATION = "factum_batch_duration_seconds", SECONDS, "seconds", ["store"],
        "Time from the start of a batch until it is durable";
    PAGES_READ = "factum_pages_read_total", MetricKind::Counter, "pages", ["store"],
        "Pages of events that were read";
    EVENTS_READ = "factum_events_read_total", MetricKind::Counter, "events", ["store"],
        "Events in the pages that were read";
    CONSUMER_POSITION = "factum_consumer_position", MetricKind::Gauge, "position", ["consumer"],
        "Position up to which every event was processed or dead-lettered";
    CONSUMER_LAG_EVENTS = "factum_consumer_lag_events", MetricKind::Gauge, "events", ["consumer"],
        "Events in the store that the consumer has not processed yet";
    CONSUMER_LAG_SECONDS = "factum_consumer_lag_seconds", MetricKind::Gauge, "seconds", ["consumer"],
        "Upper bound of the time for which the oldest of these events has waited; 0 if there is none";
    CONSUMER_DEAD_LETTERS = "factum_consumer_dead_letters", MetricKind::Gauge, "events", ["consumer"],
        "Events in the dead-letter queue";
    CONSUMER_FAILURES = "factum_consumer_failures_total", MetricKind::Counter, "failures", ["consumer"],
        "Failures, including those after which a retry succeeded";
    PROCESS_WORK = "factum_process_work_total", MetricKind::Counter, "commands", ["process", "outcome"],
        "Finished commands of a process manager, by outcome: `done`, `rejected` (by the domain) or `failed` (given up)";
    PROCESS_DUE = "factum_process_work_due", MetricKind::Gauge, "instances", ["process"],
        "Process instances with due work that is not done yet; a value of 200 or more is a lower bound";
    PROCESS_FAILED_DELIVERIES = "factum_process_failed_deliveries", MetricKind::Gauge, "deliveries", ["process"],
        "Failed deliveries of a process manager, which wait for a retry or a discard";
    DEADLINES_FIRED = "factum_deadlines_fired_total", MetricKind::Counter, "deadlines", ["process"],
        "Deadlines that fired; for the process `schedules`, occurrences of schedules";
    DEADLINE_DELAY = "factum_deadline_delay_seconds", SECONDS, "seconds", ["process"],
        "Time from the due time of a deadline until it fired";
}

/// Passes the unit and the meaning of every metric to the installed recorder.
///
/// Call it once, right after the recorder is installed.
#[cfg(feature = "metrics")]
pub fn describe() {
    use metrics::{KeyName, Unit};
    metrics::with_recorder(|recorder| {
        for metric in ALL {
            let name = KeyName::from_const_str(metric.name);
            let unit = match metric.unit {
                "seconds" => Unit::Seconds,
                _ => Unit::Count,
            };
            let meaning = metric.meaning.into();
            match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, Some(unit), meaning),
                MetricKind::Gauge => recorder.describe_gauge(name, Some(unit), meaning),
                MetricKind::Histogram(_) => recorder.describe_histogram(name, Some(unit), meaning),
            }
        }
    });
}

/// The target and the level under which the framework records its metrics.
#[cfg(feature = "metrics")]
#[doc(hidden)]
pub const RECORDER_METADATA: metrics::Metadata<'static> =
    metrics::Metadata::new("factum", metrics::Level::INFO, Some("factum"));
