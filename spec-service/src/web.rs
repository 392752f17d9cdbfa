//! The web pages: layout, errors, static files and the protection of forms. Each capability adds its own pages.
//!
//! Every page works without JavaScript. No page loads anything from another origin.

pub(crate) mod failure;
pub(crate) mod frame;
mod protection;
pub(crate) mod visitor;
mod you;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use factum::Timestamp;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::rest::{Api, metrics};
use crate::specs::web as specs;
use failure::FailedPage;

const STYLE: &str = include_str!("../assets/style.css");
const HTMX: &str = include_str!("../assets/htmx-2.0.11.min.js");

/// Creates the router with all pages.
pub fn router(api: Api) -> Router {
    // One byte of content takes up to three bytes in a form.
    let body_limit = api.max_content * 3 + 64 * 1024;
    Router::new()
        .merge(specs::routes())
        .merge(you::routes())
        .route(
            "/ui/style.css",
            get(|| file("text/css; charset=utf-8", STYLE)),
        )
        .route(
            "/ui/htmx.js",
            get(|| file("text/javascript; charset=utf-8", HTMX)),
        )
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            api.timeout,
        ))
        .layer(CatchPanicLayer::custom(|_| {
            FailedPage::internal().into_response()
        }))
        .layer(from_fn(protection::protect))
        .layer(TraceLayer::new_for_http())
        .layer(from_fn(metrics::record))
        .with_state(api)
}

/// Returns the time for people, to the minute, in UTC.
pub fn minute(time: &Timestamp) -> String {
    let text = time.to_string();
    let minute = text.get(..16).unwrap_or(&text);
    format!("{} UTC", minute.replace('T', " "))
}

async fn file(media_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, text).into_response()
}
