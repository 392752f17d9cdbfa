//! What the service counts and measures of its own, and how all metrics are exported.

use std::time::{Duration, Instant};

use anyhow::Result;
use factum::metrics::{ALL, Kind, Metric};
use metrics::{SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// How often samples are put into their buckets between two collections.
const UPKEEP: Duration = Duration::from_secs(5);

const SECONDS: Kind = Kind::Histogram(&[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
]);

/// Requests over REST.
pub const HTTP_REQUESTS: Metric = Metric {
    name: "http_requests_total",
    kind: Kind::Counter,
    unit: "requests",
    labels: &["method", "route", "status"],
    meaning: "Requests over REST that were answered; `route` is the pattern of the path, `none` where there is none",
};

/// Their durations.
pub const HTTP_DURATION: Metric = Metric {
    name: "http_request_duration_seconds",
    kind: SECONDS,
    unit: "seconds",
    labels: &["method", "route"],
    meaning: "From a request to the head of its answer",
};

/// Calls over gRPC.
pub const GRPC_CALLS: Metric = Metric {
    name: "grpc_calls_total",
    kind: Kind::Counter,
    unit: "calls",
    labels: &["method", "code"],
    meaning: "Calls over gRPC that came to an end; `Cancelled`: the caller left, or it took too long; `method` is `other` where there is none",
};

/// Their durations.
pub const GRPC_DURATION: Metric = Metric {
    name: "grpc_call_duration_seconds",
    kind: SECONDS,
    unit: "seconds",
    labels: &["method"],
    meaning: "From a call to its end; of a stream, to the end of the stream",
};

/// What the service adds to the metrics of the framework.
pub const OWN: &[Metric] = &[HTTP_REQUESTS, HTTP_DURATION, GRPC_CALLS, GRPC_DURATION];

/// All metrics of this process, in the text format of Prometheus.
#[derive(Clone, Debug)]
pub struct Exporter(PrometheusHandle);

impl Exporter {
    /// Takes in all metrics of this process from now on. Once, and before the store is opened.
    ///
    /// # Errors
    /// If metrics go elsewhere already.
    pub fn install() -> Result<Self> {
        let mut builder = PrometheusBuilder::new();
        for metric in ALL.iter().chain(OWN) {
            if let Kind::Histogram(bounds) = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, bounds)?;
            }
        }
        let exporter = Self(builder.install_recorder()?);
        factum::metrics::describe();
        for Metric { name, meaning, .. } in [HTTP_REQUESTS, GRPC_CALLS] {
            metrics::describe_counter!(name, Unit::Count, meaning);
        }
        for Metric { name, meaning, .. } in [HTTP_DURATION, GRPC_DURATION] {
            metrics::describe_histogram!(name, Unit::Seconds, meaning);
        }
        Ok(exporter)
    }

    /// Keeps memory bounded while nobody collects. Does not end.
    pub async fn keep(self) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.0.run_upkeep();
        }
    }

    /// All metrics, as they are now.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// A request over REST was answered.
pub(crate) fn answered(method: &'static str, route: &str, (status, began): (u16, Instant)) {
    let route = SharedString::from(route.to_owned());
    let labels = [
        ("method", SharedString::const_str(method)),
        ("route", route.clone()),
        ("status", status.to_string().into()),
    ];
    metrics::counter!(HTTP_REQUESTS.name, &labels).increment(1);
    let duration = metrics::histogram!(HTTP_DURATION.name, "method" => method, "route" => route);
    duration.record(began.elapsed());
}

/// A call over gRPC has ended.
pub(crate) fn called(method: &SharedString, (code, began): (String, Instant)) {
    let method = method.clone();
    metrics::counter!(GRPC_CALLS.name, "method" => method.clone(), "code" => code).increment(1);
    metrics::histogram!(GRPC_DURATION.name, "method" => method).record(began.elapsed());
}
