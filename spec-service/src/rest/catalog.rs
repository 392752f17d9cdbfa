//! The catalog: what the service is about, for people and for tools. Each form has an address of its own, so that
//! a browser, a validator and a link all get what they name.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_TYPE, LINK};
use axum::response::{IntoResponse, Response};

use crate::catalog::catalog;

static MARKDOWN: LazyLock<String> = LazyLock::new(|| catalog().to_markdown());
static JSON_SCHEMA: LazyLock<String> =
    LazyLock::new(|| format!("{:#}\n", catalog().to_json_schema()));
static ASYNCAPI: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", catalog().to_asyncapi()));

/// The forms for tools (RFC 8288).
const LINKS: &str = "</catalog/schema.json>; rel=\"describedby\"; type=\"application/schema+json\", \
                     </catalog/asyncapi.json>; rel=\"service-desc\"; \
                     type=\"application/vnd.aai.asyncapi+json;version=3.0.0\"";

/// `GET /catalog`: for people.
pub(super) async fn markdown() -> Response {
    let head = [
        (CONTENT_TYPE, "text/markdown; charset=utf-8"),
        (LINK, LINKS),
    ];
    (head, MARKDOWN.as_str()).into_response()
}

/// `GET /catalog/schema.json`: the forms of events and commands.
pub(super) async fn json_schema() -> Response {
    let head = [(CONTENT_TYPE, "application/schema+json")];
    (head, JSON_SCHEMA.as_str()).into_response()
}

/// `GET /catalog/asyncapi.json`: what happens, and who takes it.
pub(super) async fn asyncapi() -> Response {
    let head = [(
        CONTENT_TYPE,
        "application/vnd.aai.asyncapi+json;version=3.0.0",
    )];
    (head, ASYNCAPI.as_str()).into_response()
}
