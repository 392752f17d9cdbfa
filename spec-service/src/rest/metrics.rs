//! `GET /metrics`, and what is counted of every request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::warn;

use super::Api;
use crate::metrics::{Exporter, answered};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, with the lists beside the store as it is now.
pub(super) async fn metrics(exporter: Exporter, State(api): State<Api>) -> impl IntoResponse {
    if let Err(error) = api.specs.measure().await {
        warn!(%error, "the lag of lists is that of their last move");
    }
    ([(header::CONTENT_TYPE, TEXT)], exporter.render())
}

/// Counts a request by its route, which is bounded, and not by its path.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    answered(method, route, (response.status().as_u16(), began));
    response
}

/// Anybody may make up a method.
fn known(method: &Method) -> &'static str {
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
