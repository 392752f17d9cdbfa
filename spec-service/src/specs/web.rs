//! The pages of specifications.

mod change;
mod edit;
mod lines;
mod list;
mod page_id;
mod show;

use axum::Router;
use axum::routing::{get, post};

use crate::rest::Api;

/// Returns the routes of the pages.
pub fn routes() -> Router<Api> {
    Router::new()
        .route("/", get(list::list))
        .route("/ui/specs/new", get(edit::new).post(edit::create))
        .route("/ui/specs/{id}", get(show::current))
        .route("/ui/specs/{id}/edit", get(edit::edit).post(edit::update))
        .route("/ui/specs/{id}/versions", get(show::versions))
        .route("/ui/specs/{id}/versions/{version}", get(show::version))
        .route("/ui/specs/{id}/history", get(show::history))
        .route("/ui/specs/{id}/publish", post(change::publish))
        .route("/ui/specs/{id}/deprecate", post(change::deprecate))
        .route("/ui/specs/{id}/delete", post(change::delete))
}
