//! The catalog as Markdown, JSON Schema and AsyncAPI, each under its own path.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_TYPE, LINK};
use axum::response::{IntoResponse, Response};

use crate::catalog::catalog;

static MARKDOWN: LazyLock<String> = LazyLock::new(|| catalog().to_markdown());
static JSON_SCHEMA: LazyLock<String> =
    LazyLock::new(|| format!("{:#}\n", catalog().to_json_schema()));
static ASYNCAPI: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", catalog().to_asyncapi()));

/// The links to the machine-readable formats (RFC 8288).
const LINKS: &str = "</catalog/schema.json>; rel=\"describedby\"; type=\"application/schema+json\", \
                     </catalog/asyncapi.json>; rel=\"service-desc\"; \
                     type=\"application/vnd.aai.asyncapi+json;version=3.0.0\"";

/// Handles `GET /catalog`: the catalog as Markdown.
pub async fn markdown() -> Response {
    let head = [
        (CONTENT_TYPE, "text/markdown; charset=utf-8"),
        (LINK, LINKS),
    ];
    (head, MARKDOWN.as_str()).into_response()
}

/// Handles `GET /catalog/schema.json`: the JSON Schema of events and commands.
pub async fn json_schema() -> Response {
    let head = [(CONTENT_TYPE, "application/schema+json")];
    (head, JSON_SCHEMA.as_str()).into_response()
}

/// Handles `GET /catalog/asyncapi.json`: the events and their consumers as AsyncAPI.
pub async fn asyncapi() -> Response {
    let head = [(
        CONTENT_TYPE,
        "application/vnd.aai.asyncapi+json;version=3.0.0",
    )];
    (head, ASYNCAPI.as_str()).into_response()
}
