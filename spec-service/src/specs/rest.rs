//! The routes of specifications, below `/v1/specs`.

mod change;
mod list;
mod read;

use axum::Router;
use axum::routing::{get, post};

use crate::rest::Api;

/// Returns the routes of specifications.
pub fn routes() -> Router<Api> {
    let specs = Router::new()
        .route("/", get(list::list).post(change::create))
        .route(
            "/{id}",
            get(read::spec).put(change::update).delete(change::delete),
        )
        .route("/{id}/publish", post(change::publish))
        .route("/{id}/deprecate", post(change::deprecate))
        .route("/{id}/versions", get(read::versions))
        .route("/{id}/versions/{version}", get(read::version))
        .route("/{id}/history", get(read::history));
    Router::new().nest("/v1/specs", specs)
}
