//! What the framework counts and measures: every metric by name, with its unit, its labels and its meaning.
//!
//! With the feature `metrics` they are told to the [`metrics`](https://docs.rs/metrics) facade, hence to whatever
//! exporter the program installs; without it nothing is told, and no instruction is spent. Labels are bounded: they
//! come from types and from the names of projections and process managers, never from ids.
//!
//! Install the exporter first, then `describe` what it exports:
//!
//! ```no_run
//! # #[cfg(feature = "metrics")]
//! # {
//! // Whichever it is, e.g. `metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()`.
//! factum::metrics::describe();
//! # }
//! ```
//!
//! To tell something new, name it here, and tell it in a function of a file beside this one, empty without the feature:
//! callers need no `cfg`.

mod stores;

pub use stores::{Stopwatch, StoreMetrics};

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name, as the facade is told.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// What is counted, in the plural: `seconds`, `events`.
    pub unit: &'static str,
    /// The keys of its labels.
    pub labels: &'static [&'static str],
    /// What a value says.
    pub meaning: &'static str,
}

/// How a metric is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Values, and how often each was seen; with bounds of buckets that fit what is to be expected.
    Histogram(&'static [f64]),
}

impl Kind {
    /// `counter`, `gauge` or `histogram`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// From a hundredth of a millisecond to ten seconds.
const SECONDS: Kind = Kind::Histogram(&[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
]);

const SIZES: Kind = Kind::Histogram(&[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0,
]);

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $unit:literal, [$($label:literal),*], $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: $kind,
                unit: $unit,
                labels: &[$($label),*],
                meaning: $meaning,
            };
        )*

        /// All of them.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    COMMANDS = "factum_commands_total", Kind::Counter, "commands", ["command", "outcome"],
        "Commands that came to an end: `done`, `repeated` (the first answer again), `rejected` (by the domain), `conflict` or `failed`";
    COMMAND_DURATION = "factum_command_duration_seconds", SECONDS, "seconds", ["command"],
        "From the call to the answer, with all that was waited for, whatever the outcome";
    CONFLICTS = "factum_conflicts_total", Kind::Counter, "decisions", ["command"],
        "Decisions that were not stored because other writers were faster; most are decided again";
    RETRIES = "factum_retries_total", Kind::Counter, "attempts", ["command", "cause"],
        "Further attempts, because of a `conflict` or because the `store` was not there";
    APPENDS = "factum_appends_total", Kind::Counter, "appends", ["store", "outcome"],
        "Appends that were answered: `stored`, `repeated`, `conflict` or `failed`";
    EVENTS_STORED = "factum_events_stored_total", Kind::Counter, "events", ["store"],
        "Events that were made durable by this process";
    BATCH_APPENDS = "factum_batch_appends", SIZES, "appends", ["store"],
        "Appends that were judged in one commit";
    BATCH_EVENTS = "factum_batch_events", SIZES, "events", ["store"],
        "Events that were stored in one commit";
    BATCH_DURATION = "factum_batch_duration_seconds", SECONDS, "seconds", ["store"],
        "From the beginning of a batch to its end on the disk";
    PAGES_READ = "factum_pages_read_total", Kind::Counter, "pages", ["store"],
        "Pages of events that were read";
    EVENTS_READ = "factum_events_read_total", Kind::Counter, "events", ["store"],
        "Events in these pages";
    PROJECTION_POSITION = "factum_projection_position", Kind::Gauge, "position", ["projection"],
        "Every event up to here has had its effect, or is parked";
    PROJECTION_LAG_EVENTS = "factum_projection_lag_events", Kind::Gauge, "events", ["projection"],
        "Events of the store that it has not come to";
    PROJECTION_LAG_SECONDS = "factum_projection_lag_seconds", Kind::Gauge, "seconds", ["projection"],
        "For how long the oldest of them has been waiting, at most; 0: there is none";
    PROJECTION_PARKED = "factum_projection_parked_events", Kind::Gauge, "events", ["projection"],
        "Events that are parked";
    PROJECTION_FAILURES = "factum_projection_failures_total", Kind::Counter, "failures", ["projection"],
        "Times that something went wrong, mended since or not";
    PROCESS_WORK = "factum_process_work_total", Kind::Counter, "commands", ["process", "outcome"],
        "Commands of a process manager that came to an end: `done`, `rejected` (by the domain) or `failed` (given up)";
    PROCESS_DUE = "factum_process_work_due", Kind::Gauge, "instances", ["process"],
        "Instances of a process manager with work that is due and not done yet; from 200 on there may be more";
    PROCESS_PARKED = "factum_process_parked_items", Kind::Gauge, "items", ["process"],
        "Work of a process manager that was given up, and waits for somebody";
    DEADLINES_FIRED = "factum_deadlines_fired_total", Kind::Counter, "deadlines", ["process"],
        "Deadlines that passed; of `schedules`, their occurrences";
    DEADLINE_DELAY = "factum_deadline_delay_seconds", SECONDS, "seconds", ["process"],
        "How long after it was due a deadline passed";
}

/// Tells the recorder that is installed the unit and the meaning of every metric; once, right after it was installed.
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
                Kind::Counter => recorder.describe_counter(name, Some(unit), meaning),
                Kind::Gauge => recorder.describe_gauge(name, Some(unit), meaning),
                Kind::Histogram(_) => recorder.describe_histogram(name, Some(unit), meaning),
            }
        }
    });
}

/// What the facade wants to know of where it is told something.
#[cfg(feature = "metrics")]
pub const RECORDER_METADATA: metrics::Metadata<'static> =
    metrics::Metadata::new("factum", metrics::Level::INFO, Some("factum"));
