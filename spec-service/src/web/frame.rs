//! [`Frame`]: the part that all pages share.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use tracing::error;

use super::failure::Failure;

/// The header and the footer of a page.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The current section of the navigation.
    pub section: &'static str,
    /// The name of the visitor, if the page shows it.
    pub actor: Option<String>,
}

impl Frame {
    /// Returns the version of the program.
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// Renders a page.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(failure) => {
            error!(error = %failure, "cannot render a page");
            Failure::internal().into_response()
        }
    }
}
