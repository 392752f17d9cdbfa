//! The metrics of the two APIs, and the export of all metrics in the format of Prometheus.

use std::time::{Duration, Instant};

use anyhow::Result;
use factum::metrics::{ALL, Metric, MetricKind};
use metrics::{SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The interval in which recorded samples are aggregated into their buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

const SECONDS: MetricKind = MetricKind::Histogram(&[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
]);

/// The number of REST requests.
pub const HTTP_REQUESTS: Metric = Metric {
    name: "http_requests_total",
    kind: MetricKind::Counter,
    unit: "requests",
    labels: &["method", "route", "status"],
    meaning: "REST requests answered; `route` is the path pattern, or `none` if no route matches",
};

/// The duration of REST requests.
pub const HTTP_DURATION: Metric = Metric {
    name: "http_request_duration_seconds",
    kind: SECONDS,
    unit: "seconds",
    labels: &["method", "route"],
    meaning: "Time from the request to the response head",
};

/// The number of gRPC calls.
pub const GRPC_CALLS: Metric = Metric {
    name: "grpc_calls_total",
    kind: MetricKind::Counter,
    unit: "calls",
    labels: &["method", "code"],
    meaning: "gRPC calls ended; `Cancelled` means that the client disconnected or the call timed out; `method` is `other` if the method is unknown",
};

/// The duration of gRPC calls.
pub const GRPC_DURATION: Metric = Metric {
    name: "grpc_call_duration_seconds",
    kind: SECONDS,
    unit: "seconds",
    labels: &["method"],
    meaning: "Time from the call to its end; for a stream, to the end of the stream",
};

/// The number of refused requests.
pub const REFUSALS: Metric = Metric {
    name: "requests_refused_total",
    kind: MetricKind::Counter,
    unit: "requests",
    labels: &["api", "code"],
    meaning: "Requests and calls refused; `code` is the stable error code in lower case",
};

/// The number of open connections.
pub const CONNECTIONS: Metric = Metric {
    name: "connections_open",
    kind: MetricKind::Gauge,
    unit: "connections",
    labels: &["api"],
    meaning: "Open connections of clients",
};

/// The number of connections that the service closed.
pub const CLOSED_CONNECTIONS: Metric = Metric {
    name: "connections_closed_total",
    kind: MetricKind::Counter,
    unit: "connections",
    labels: &["api", "limit"],
    meaning: "Connections closed because the client exceeded a limit; `limit` is `head_timeout`, `idle_timeout`, `send_timeout` or `stop`",
};

/// All metrics that the service adds to those of the framework.
pub const SERVICE_METRICS: &[Metric] = &[
    HTTP_REQUESTS,
    HTTP_DURATION,
    GRPC_CALLS,
    GRPC_DURATION,
    REFUSALS,
    CONNECTIONS,
    CLOSED_CONNECTIONS,
];

/// An exporter of all metrics of this process, in the text format of Prometheus.
#[derive(Clone, Debug)]
pub struct Exporter(PrometheusHandle);

impl Exporter {
    /// Installs the metrics recorder of this process. Call it once, before the store is opened.
    ///
    /// # Errors
    /// Returns an error if another recorder is already installed.
    pub fn install() -> Result<Self> {
        let mut builder = PrometheusBuilder::new();
        for metric in ALL.iter().chain(SERVICE_METRICS) {
            if let MetricKind::Histogram(bounds) = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, bounds)?;
            }
        }
        let exporter = Self(builder.install_recorder()?);
        factum::metrics::describe();
        metrics::describe_gauge!(CONNECTIONS.name, Unit::Count, CONNECTIONS.meaning);
        for Metric { name, meaning, .. } in
            [HTTP_REQUESTS, GRPC_CALLS, REFUSALS, CLOSED_CONNECTIONS]
        {
            metrics::describe_counter!(name, Unit::Count, meaning);
        }
        for Metric { name, meaning, .. } in [HTTP_DURATION, GRPC_DURATION] {
            metrics::describe_histogram!(name, Unit::Seconds, meaning);
        }
        Ok(exporter)
    }

    /// Aggregates recorded samples periodically, and never returns.
    ///
    /// Memory stays bounded even if the metrics are not scraped.
    pub async fn run_upkeep(self) {
        let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            ticks.tick().await;
            self.0.run_upkeep();
        }
    }

    /// Returns the current values of all metrics.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Records an answered REST request, which arrived at `started`.
pub(crate) fn record_request(method: &'static str, route: &str, status: u16, started: Instant) {
    let route = SharedString::from(route.to_owned());
    let labels = [
        ("method", SharedString::const_str(method)),
        ("route", route.clone()),
        ("status", status.to_string().into()),
    ];
    metrics::counter!(HTTP_REQUESTS.name, &labels).increment(1);
    let duration = metrics::histogram!(HTTP_DURATION.name, "method" => method, "route" => route);
    duration.record(started.elapsed());
}

/// Records an ended gRPC call, which arrived at `started`.
pub(crate) fn record_call(method: &SharedString, code: String, started: Instant) {
    let method = method.clone();
    metrics::counter!(GRPC_CALLS.name, "method" => method.clone(), "code" => code).increment(1);
    metrics::histogram!(GRPC_DURATION.name, "method" => method).record(started.elapsed());
}

/// Logs and counts a request that the caller must change, with the stable error code.
pub fn record_refusal(api: &'static str, code: &str, detail: &str) {
    tracing::info!(code, detail, "request refused");
    let code = SharedString::from(code.to_owned());
    metrics::counter!(REFUSALS.name, "api" => api, "code" => code).increment(1);
}

/// Counts a connection that the service closed because of `limit`.
pub fn record_closed_connection(api: &'static str, limit: &'static str) {
    metrics::counter!(CLOSED_CONNECTIONS.name, "api" => api, "limit" => limit).increment(1);
}

/// A connection that is counted as open until it is dropped.
#[derive(Debug)]
pub struct ConnectionGauge(&'static str);

impl ConnectionGauge {
    /// Counts a connection to `api` as open.
    #[must_use]
    pub fn new(api: &'static str) -> Self {
        metrics::gauge!(CONNECTIONS.name, "api" => api).increment(1.0);
        Self(api)
    }

    /// Returns the label of the API.
    #[must_use]
    pub fn api(&self) -> &'static str {
        self.0
    }
}

impl Drop for ConnectionGauge {
    fn drop(&mut self) {
        metrics::gauge!(CONNECTIONS.name, "api" => self.0).decrement(1.0);
    }
}
