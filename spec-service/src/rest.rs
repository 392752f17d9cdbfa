//! The REST API, under `/v1`. JSON fields are in snake_case, times in RFC 3339, states in lower case; every
//! error is an RFC 9457 `application/problem+json`.

mod catalog;
mod change;
mod content_type;
mod headers;
mod health;
mod input;
mod list;
mod metrics;
mod problem;
mod read;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::app::Specs;
use crate::metrics::Exporter;
use problem::Problem;

/// What the API needs.
#[derive(Clone)]
pub struct Api {
    /// The specifications.
    pub specs: Specs,
    /// The most bytes of a content: with room for JSON's escapes it bounds the body of a request.
    pub max_content: usize,
    /// How many events a read model may be behind in a service that is ready.
    pub ready_lag: u64,
    /// `true` once the service is about to stop: it is not ready any more.
    pub stopping: watch::Receiver<bool>,
    /// How long a request may take.
    pub timeout: Duration,
    /// What `GET /metrics` shows; `None`: there is no such route.
    pub metrics: Option<Exporter>,
}

/// The routes of the API.
pub fn router(api: Api) -> Router {
    // A character of one byte takes up to six in JSON: `\u0041`.
    let body_limit = api.max_content * 6 + 64 * 1024;
    let specs = Router::new()
        .route("/", get(list::list).post(change::create))
        .route(
            "/{id}",
            get(read::spec).put(change::update).delete(change::delete),
        )
        .route("/{id}/publish", axum::routing::post(change::publish))
        .route("/{id}/deprecate", axum::routing::post(change::deprecate))
        .route("/{id}/versions", get(read::versions))
        .route("/{id}/versions/{version}", get(read::version))
        .route("/{id}/history", get(read::history));
    let metrics = match api.metrics.clone() {
        Some(exporter) => {
            let shown = move |api| metrics::metrics(exporter.clone(), api);
            Router::new().route("/metrics", get(shown))
        }
        None => Router::new(),
    };
    // From the inside out: a problem that any layer below makes is put into its form on the way out.
    Router::new()
        .nest("/v1/specs", specs)
        .route("/catalog", get(catalog::markdown))
        .route("/catalog/schema.json", get(catalog::json_schema))
        .route("/catalog/asyncapi.json", get(catalog::asyncapi))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/health", get(health::health))
        .merge(metrics)
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            api.timeout,
        ))
        .layer(CatchPanicLayer::custom(panic_message))
        .layer(map_response(problem::in_form))
        // What fails on this side is logged where it is turned into a problem.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_failure(()),
        )
        .layer(from_fn(metrics::count))
        .layer(from_fn(headers::echo_correlation))
        .with_state(api)
}

fn span(request: &Request) -> tracing::Span {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    tracing::info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        actor = header(headers::ACTOR),
        correlation_id = header(headers::CORRELATION_ID),
        trace_parent = header(headers::TRACE_PARENT),
    )
}

fn panic_message(_: Box<dyn Any + Send>) -> Response {
    // The panic itself is reported by the hook.
    axum::response::IntoResponse::into_response(Problem::internal())
}
