//! The REST API under `/v1`.
//!
//! JSON fields are in snake_case, times in RFC 3339 and states in lower case. Errors are
//! `application/problem+json` (RFC 9457).

pub(crate) mod api;
mod catalog;
pub(crate) mod conditions;
pub(crate) mod content_type;
mod header_value;
pub(crate) mod headers;
mod health;
pub(crate) mod input;
pub(crate) mod metrics;
mod names;
pub(crate) mod number;
pub(crate) mod openapi;
pub(crate) mod page;
mod parse_errors;
pub(crate) mod problem;
mod serve;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{self, StatusCode};
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use axum::routing::get;
use factum_server::trace::{continue_trace, trace_parent};
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultOnResponse, OnResponse, TraceLayer};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

pub use api::Api;
use problem::{Problem, ProblemSummary};

use crate::audit::rest as audit;
use crate::changes::rest as changes;
use crate::metrics::record_refusal;
use crate::specs::rest as specs;
use crate::webhooks::rest as webhooks;
use crate::{bulk, search, transfer};
pub use serve::serve;

/// Returns the routes with their descriptions.
fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(specs::routes())
        .merge(search::routes())
        .merge(bulk::routes())
        .merge(transfer::routes())
        .merge(health::routes())
}

/// Returns the OpenAPI 3.1 description of the API.
#[must_use]
pub fn openapi() -> OpenApi {
    openapi::with_shared_parts(routes().into_openapi())
}

/// Creates the router with all routes of the API.
pub fn router(api: Api) -> Router {
    // One byte of content can take six bytes in JSON, for example `\u0041`.
    let body_limit = api.max_content * 6 + 64 * 1024;
    let metrics = match api.metrics.clone() {
        Some(exporter) => {
            let render = move |api| metrics::metrics(exporter.clone(), api);
            Router::new().route("/metrics", get(render))
        }
        None => Router::new(),
    };
    let (described, _) = routes().split_for_parts();
    // Each layer wraps the ones before it, so `to_problem` also converts the errors of the layers before it.
    described
        .merge(SwaggerUi::new("/docs").url("/openapi.json", openapi()))
        .merge(webhooks::routes())
        .merge(changes::routes())
        .merge(audit::routes())
        .route("/catalog", get(catalog::markdown))
        .route("/catalog/schema.json", get(catalog::json_schema))
        .route("/catalog/asyncapi.json", get(catalog::asyncapi))
        .merge(metrics)
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            api.timeout,
        ))
        .layer(CatchPanicLayer::custom(panic_response))
        .layer(from_fn(headers::check_head))
        .layer(map_response(problem::to_problem))
        .layer(MapRequestLayer::new(continue_trace))
        // Failures are logged where they are converted to a problem.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_response(RecordRefusal)
                .on_failure(()),
        )
        .layer(from_fn(metrics::record))
        .layer(from_fn(headers::echo_correlation_id))
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
        trace_parent = trace_parent(request.headers()),
    )
}

/// A recorder of refused requests, in the span of the request.
#[derive(Clone, Copy)]
struct RecordRefusal;

impl<B> OnResponse<B> for RecordRefusal {
    fn on_response(self, response: &http::Response<B>, latency: Duration, span: &tracing::Span) {
        if response.status().is_client_error()
            && let Some(ProblemSummary { code, detail }) = response.extensions().get()
        {
            record_refusal("rest", code, detail);
        }
        DefaultOnResponse::default().on_response(response, latency, span);
    }
}

/// Creates the response to a request that panicked. The panic hook reports the panic itself.
fn panic_response(_: Box<dyn Any + Send>) -> Response {
    axum::response::IntoResponse::into_response(Problem::internal())
}
