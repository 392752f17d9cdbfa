//! The routes of specifications, below `/v1/specs`.

mod change;
mod list;
mod read;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::rest::Api;

/// Returns the routes of specifications.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list, change::create))
        .routes(routes!(read::spec, change::update, change::delete))
        .routes(routes!(change::publish))
        .routes(routes!(change::deprecate))
        .routes(routes!(read::versions))
        .routes(routes!(read::version))
        .routes(routes!(read::history))
}
