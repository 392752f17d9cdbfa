//! The metrics of the framework: names, kinds, units, labels and meanings.
//!
//! With the feature `metrics`, the framework records them through the [`metrics`](https://docs.rs/metrics) facade, and
//! the program chooses an exporter. Without the feature, the calls compile to nothing. The number of label values is
//! bounded: labels are the names of types, projections, process managers and store kinds, never ids.
//!
//! Install the exporter first, then call `describe`:
//!
//! ```no_run
//! # #[cfg(feature = "metrics")]
//! # {
//! // For example `metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()`.
//! factum_core::metrics::describe();
//! # }
//! ```
//!
//! To add a metric, define it in `definitions.rs`, and record it in a function that is empty without the feature, so
//! that callers need no `cfg`.

mod definitions;
mod stopwatch;
mod store_metrics;
#[cfg(feature = "metrics")]
mod store_recorder;

pub use definitions::*;
pub use stopwatch::Stopwatch;
pub use store_metrics::StoreMetrics;
