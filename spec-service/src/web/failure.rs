//! [`FailedPage`]: the page that says why a request failed.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use tracing::error;

use super::frame::Frame;
use crate::app::AppError;
use crate::rest::problem::status;

/// A failed request.
#[derive(Debug)]
pub struct FailedPage {
    status: StatusCode,
    detail: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct FailurePage<'a> {
    frame: Frame,
    title: &'a str,
    detail: &'a str,
}

impl FailedPage {
    /// Creates a failure with a text for people.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, detail }
    }

    /// Creates the failure of a page that does not exist.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("{what} not found; check the address"),
        )
    }

    /// Creates the failure of a defect of the service.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error; see the service log",
        )
    }
}

impl From<AppError> for FailedPage {
    fn from(error: AppError) -> Self {
        error.log();
        Self::new(status(&error), error.to_string())
    }
}

impl IntoResponse for FailedPage {
    fn into_response(self) -> Response {
        let title = match self.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::SERVICE_UNAVAILABLE => "Try again later",
            status if status.is_server_error() => "The service failed",
            _ => "Not done",
        };
        let page = FailurePage {
            frame: Frame::default(),
            title,
            detail: &self.detail,
        };
        match page.render() {
            Ok(html) => (self.status, Html(html)).into_response(),
            Err(_) => (self.status, self.detail).into_response(),
        }
    }
}

/// Renders a page.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(failure) => {
            error!(error = %failure, "cannot render a page");
            FailedPage::internal().into_response()
        }
    }
}
