//! The metrics of connections and calls, and the export of all metrics in the format of Prometheus.

use std::time::{Duration, Instant};

use anyhow::Result;
use factum_core::metrics::{Metric, MetricKind};
use metrics::{Counter, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The content type of the Prometheus text format.
pub const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The interval in which recorded samples are aggregated into their buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The buckets of durations of requests, from a millisecond to 30 seconds.
pub const REQUEST_SECONDS: MetricKind = MetricKind::Histogram(&[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
]);

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
    kind: REQUEST_SECONDS,
    unit: "seconds",
    labels: &["method"],
    meaning: "Time from the call to its end; for a stream, to the end of the stream",
};

/// The number of open connections.
pub const CONNECTIONS: Metric = Metric {
    name: "connections_open",
    kind: MetricKind::Gauge,
    unit: "connections",
    labels: &["api"],
    meaning: "Open connections of clients",
};

/// The number of connections that the server closed.
pub const CLOSED_CONNECTIONS: Metric = Metric {
    name: "connections_closed_total",
    kind: MetricKind::Counter,
    unit: "connections",
    labels: &["api", "limit"],
    meaning: "Connections closed because the client exceeded a limit; `limit` is `head_timeout`, `idle_timeout`, `send_timeout`, `unread_timeout` or `stop`",
};

/// The number of bytes on connections.
pub const CONNECTION_BYTES: Metric = Metric {
    name: "connection_bytes_total",
    kind: MetricKind::Counter,
    unit: "bytes",
    labels: &["api", "direction"],
    meaning: "Bytes `received` from clients and `sent` to them, without the overhead of TLS",
};

/// The number of failed TLS handshakes.
pub const FAILED_HANDSHAKES: Metric = Metric {
    name: "tls_handshakes_failed_total",
    kind: MetricKind::Counter,
    unit: "connections",
    labels: &["api", "reason"],
    meaning: "Connections closed during the TLS handshake, by reason: `error` or `timeout`",
};

/// The end of the validity of the server's certificate.
pub const CERTIFICATE_EXPIRY: Metric = Metric {
    name: "tls_certificate_expiry_timestamp_seconds",
    kind: MetricKind::Gauge,
    unit: "seconds",
    labels: &[],
    meaning: "End of the validity of the certificate that was loaded last, in seconds since 1970",
};

/// All metrics of this crate.
pub const SERVER_METRICS: &[Metric] = &[
    GRPC_CALLS,
    GRPC_DURATION,
    CONNECTIONS,
    CLOSED_CONNECTIONS,
    CONNECTION_BYTES,
    FAILED_HANDSHAKES,
    CERTIFICATE_EXPIRY,
];

/// An exporter of all metrics of this process, in the text format of Prometheus.
#[derive(Clone, Debug)]
pub struct Exporter(PrometheusHandle);

impl Exporter {
    /// Installs the metrics recorder of this process. Call it once, before the store is opened.
    ///
    /// `metrics` are those of the server. Those of the framework and [`SERVER_METRICS`] are added.
    ///
    /// # Errors
    /// Returns an error if another recorder is already installed.
    pub fn install(metrics: &[Metric]) -> Result<Self> {
        let all = || {
            let framework = factum_core::metrics::ALL.iter();
            framework.chain(SERVER_METRICS).chain(metrics)
        };
        let mut builder = PrometheusBuilder::new();
        for metric in all() {
            if let MetricKind::Histogram(bounds) = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, bounds)?;
            }
        }
        let exporter = Self(builder.install_recorder()?);
        for metric in all() {
            describe(metric);
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

/// Passes the unit and the meaning of a metric to the installed recorder.
fn describe(metric: &Metric) {
    let Metric { name, meaning, .. } = *metric;
    let unit = match metric.unit {
        "seconds" => Unit::Seconds,
        "bytes" => Unit::Bytes,
        _ => Unit::Count,
    };
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(name, unit, meaning),
        MetricKind::Gauge => metrics::describe_gauge!(name, unit, meaning),
        MetricKind::Histogram(_) => metrics::describe_histogram!(name, unit, meaning),
    }
}

/// Records an ended gRPC call, which arrived at `started`.
pub fn record_call(method: &SharedString, code: String, started: Instant) {
    let method = method.clone();
    metrics::counter!(GRPC_CALLS.name, "method" => method.clone(), "code" => code).increment(1);
    metrics::histogram!(GRPC_DURATION.name, "method" => method).record(started.elapsed());
}

/// Counts a connection that was closed during the TLS handshake.
pub fn record_failed_handshake(api: &'static str, reason: &'static str) {
    metrics::counter!(FAILED_HANDSHAKES.name, "api" => api, "reason" => reason).increment(1);
}

/// Records the end of the validity of a certificate, in seconds since 1970.
pub fn record_certificate_expiry(not_after: i64) {
    metrics::gauge!(CERTIFICATE_EXPIRY.name).set(not_after as f64);
}

/// The metrics of one connection, which is counted as open until this is dropped.
#[derive(Debug)]
pub struct ConnectionMetrics {
    api: &'static str,
    received: Counter,
    sent: Counter,
}

impl ConnectionMetrics {
    /// Counts a connection to `api` as open.
    #[must_use]
    pub fn new(api: &'static str) -> Self {
        metrics::gauge!(CONNECTIONS.name, "api" => api).increment(1.0);
        let bytes = |direction: &'static str| metrics::counter!(CONNECTION_BYTES.name, "api" => api, "direction" => direction);
        Self {
            api,
            received: bytes("received"),
            sent: bytes("sent"),
        }
    }

    /// Returns the label of the API.
    #[must_use]
    pub fn api(&self) -> &'static str {
        self.api
    }

    /// Counts received bytes.
    pub fn record_received(&self, bytes: usize) {
        self.received.increment(bytes as u64);
    }

    /// Counts sent bytes.
    pub fn record_sent(&self, bytes: usize) {
        self.sent.increment(bytes as u64);
    }

    /// Counts that the server closed the connection because of `limit`.
    pub fn record_closed(&self, limit: &'static str) {
        metrics::counter!(CLOSED_CONNECTIONS.name, "api" => self.api, "limit" => limit)
            .increment(1);
    }
}

impl Drop for ConnectionMetrics {
    fn drop(&mut self) {
        metrics::gauge!(CONNECTIONS.name, "api" => self.api).decrement(1.0);
    }
}
