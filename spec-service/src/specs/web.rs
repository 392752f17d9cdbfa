//! The pages of specifications.

mod change;
mod edit;
mod lines;
mod list;
mod show;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::{get, post};

use super::domain::SpecId;
use crate::rest::Api;
use crate::web::failure::Failure;

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

/// An extractor of the id in the path.
pub struct PageId(pub SpecId);

impl<S: Send + Sync> FromRequestParts<S> for PageId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = crate::rest::input::Id::from_request_parts(parts, state).await;
        let id = id.map_err(|_| Failure::not_found("specification"))?;
        Ok(Self(id.0))
    }
}
