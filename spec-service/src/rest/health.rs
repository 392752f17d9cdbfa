//! The health checks.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::Api;
use super::problem::Problem;

/// Returns the routes of the health checks.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(health))
}

/// Handles `GET /livez`: the process is running.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "health",
    summary = "Check that the process is running",
    responses((status = 200, description = "The process is running", body = String, content_type = "text/plain")),
)]
pub async fn livez() -> &'static str {
    "alive\n"
}

/// Handles `GET /readyz`: the store accepts writes and the list is up to date.
///
/// The check fails as soon as shutdown begins.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    summary = "Check that the service accepts requests",
    responses((status = 200, description = "The service is ready", body = String, content_type = "text/plain")),
)]
pub async fn readyz(State(api): State<Api>) -> Response {
    let not_ready = |detail: String| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail).into_response()
    };
    if *api.stopping.borrow() {
        return not_ready("the service is stopping".to_owned());
    }
    let health = api.app.health().await;
    if health.is_ready(api.ready_lag) {
        return "ready\n".into_response();
    }
    let store = health.store.as_ref().err().cloned();
    let errors = health
        .projections
        .iter()
        .filter_map(|projection| projection.last_error.clone());
    let reasons: Vec<String> = store.into_iter().chain(errors).collect();
    match reasons[..] {
        [] => not_ready(format!(
            "the list is not up to date: lag {}, limit {} (in events)",
            health.lag(),
            api.ready_lag
        )),
        _ => not_ready(reasons.join("; ")),
    }
}

#[derive(Serialize, ToSchema)]
struct HealthBody {
    /// `ready`.
    status: &'static str,
    /// The version of the program.
    version: &'static str,
    /// The state of the store.
    store: StoreBody,
    /// The states of the read models.
    projections: Vec<ProjectionBody>,
}

#[derive(Serialize, ToSchema)]
struct StoreBody {
    /// Whether the store accepts writes.
    writable: bool,
    /// The position of the last event.
    head: u64,
    /// Why the store does not accept writes.
    error: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ProjectionBody {
    /// The name of the read model.
    name: String,
    /// Its state.
    state: String,
    /// The position of its last event.
    position: u64,
    /// The number of events after that position.
    lag: u64,
    /// Its last error.
    last_error: Option<String>,
}

/// Handles `GET /health`: the details of the health. If [`readyz`] fails, they are in a 503 problem.
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    summary = "Read the details of the health",
    responses((status = 200, description = "The service is ready", body = HealthBody)),
)]
pub async fn health(State(api): State<Api>) -> Response {
    let health = api.app.health().await;
    let ready = health.is_ready(api.ready_lag) && !*api.stopping.borrow();
    let head = health.head.get();
    let projections = health
        .projections
        .into_iter()
        .map(|projection| ProjectionBody {
            state: format!("{:?}", projection.state).to_lowercase(),
            position: projection.position.get(),
            lag: head.saturating_sub(projection.position.get()),
            name: projection.name,
            last_error: projection.last_error,
        });
    let body = HealthBody {
        status: "ready",
        version: env!("CARGO_PKG_VERSION"),
        store: StoreBody {
            writable: health.store.is_ok(),
            head,
            error: health.store.err(),
        },
        projections: projections.collect(),
    };
    if ready {
        return Json(body).into_response();
    }
    let detail = "the service is not ready; see `store` and `projections`";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail);
    // Problems have their own `status`.
    let problem = problem.fact("version", body.version);
    let problem = problem.fact("store", json!(body.store));
    let problem = problem.fact("projections", json!(body.projections));
    problem.into_response()
}
