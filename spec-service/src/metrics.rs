//! The metrics of requests.

use std::time::Instant;

use factum::metrics::{Metric, MetricKind};
use factum_server::metrics::REQUEST_SECONDS;
use metrics::SharedString;

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
    kind: REQUEST_SECONDS,
    unit: "seconds",
    labels: &["method", "route"],
    meaning: "Time from the request to the response head",
};

/// The number of refused requests.
pub const REFUSALS: Metric = Metric {
    name: "requests_refused_total",
    kind: MetricKind::Counter,
    unit: "requests",
    labels: &["api", "code"],
    meaning: "Requests and calls refused; `code` is the stable error code in lower case",
};

/// The metrics that the service adds to those of the framework and of connections and calls.
pub const SERVICE_METRICS: &[Metric] = &[HTTP_REQUESTS, HTTP_DURATION, REFUSALS];

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

/// Logs and counts a request that the caller must change, with the stable error code.
pub fn record_refusal(api: &'static str, code: &str, detail: &str) {
    tracing::info!(code, detail, "request refused");
    let code = SharedString::from(code.to_owned());
    metrics::counter!(REFUSALS.name, "api" => api, "code" => code).increment(1);
}
