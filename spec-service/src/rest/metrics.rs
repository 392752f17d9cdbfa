//! The route `GET /metrics`, and the metrics of requests.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use factum_server::metrics::{Exporter, PROMETHEUS_TEXT};
use tracing::warn;

use super::api::Api;
use crate::metrics::record_request;

/// Handles `GET /metrics`: all metrics, with the current lag of the projections.
pub async fn metrics(exporter: Exporter, State(api): State<Api>) -> impl IntoResponse {
    if let Err(error) = api.app.measure().await {
        warn!(%error, "cannot measure the projection lag; the metrics may show an older value");
    }
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], exporter.render())
}

/// Records the metrics of a request.
///
/// The label is the route pattern and not the path, because the number of label values must be bounded.
pub async fn record(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    record_request(method, route, response.status().as_u16(), started);
    response
}

/// Returns the label of a method. Clients can send any method, so others are counted together.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
