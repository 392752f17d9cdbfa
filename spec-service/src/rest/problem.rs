//! [`Problem`]: an error as RFC 9457 says it.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::AppError;
use crate::domain::{ContentError, Rejection};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error, for people and machines.
#[derive(Debug)]
pub(super) struct Problem(Box<Details>);

#[derive(Debug, Serialize)]
struct Details {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// The kind of error, as a word that never changes.
    code: &'static str,
    /// Facts for machines.
    #[serde(flatten)]
    facts: Map<String, Value>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The answer to a request that is fulfilled, or why it is not.
pub(super) type Answer<T = Response> = Result<T, Problem>;

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind: format!("urn:spec-service:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            facts: Map::new(),
            headers: Vec::new(),
        }))
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub(super) fn internal() -> Self {
        let detail = "the service failed; the log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// A field of the body breaks a rule; `pointer` is its JSON pointer (RFC 6901).
    pub(super) fn field(code: &'static str, pointer: &str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        problem.at(pointer)
    }

    /// Says which field of the body is meant.
    fn at(self, pointer: &str) -> Self {
        let mut error = json!({ "pointer": pointer, "detail": self.0.detail });
        for place in ["line", "column"] {
            if let Some(value) = self.0.facts.get(place) {
                error[place] = value.clone();
            }
        }
        self.fact("errors", json!([error]))
    }

    pub(super) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.facts.insert(name.to_owned(), value.into());
        self
    }

    fn retry_after(mut self, seconds: &'static str) -> Self {
        self.0
            .headers
            .push((header::RETRY_AFTER, HeaderValue::from_static(seconds)));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = std::mem::take(&mut self.0.headers);
        let mut response = (status, Json(self.0)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, MEDIA_TYPE);
        response.headers_mut().extend(headers);
        response
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let status = status(&error);
        error.log();
        let mut problem = Self::new(status, error.code(), error.to_string());
        let facts = error.facts().into_iter();
        problem
            .0
            .facts
            .extend(facts.map(|(name, value)| (name.to_owned(), value)));
        if let (Some(field), true) = (error.field(), is_of_the_body(status)) {
            problem = problem.at(&format!("/{field}"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem = problem.retry_after("1");
        }
        problem
    }
}

fn is_of_the_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE
    )
}

fn status(error: &AppError) -> StatusCode {
    match error {
        AppError::Content(ContentError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        AppError::Name(_)
        | AppError::Content(_)
        | AppError::KeyReused { .. }
        | AppError::Rejected(Rejection::NoReason | Rejection::TooLong { .. }) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        AppError::Rejected(Rejection::NotFound | Rejection::NoSuchVersion { .. }) => {
            StatusCode::NOT_FOUND
        }
        AppError::Rejected(Rejection::Deleted) => StatusCode::GONE,
        AppError::Rejected(
            Rejection::AlreadyExists
            | Rejection::NameTaken { .. }
            | Rejection::NotAllowed { .. }
            | Rejection::AlreadyPublished { .. }
            | Rejection::VersionMismatch { .. },
        ) => StatusCode::CONFLICT,
        AppError::RevisionMismatch { .. } => StatusCode::PRECONDITION_FAILED,
        AppError::Key { .. } | AppError::Limit { .. } | AppError::Cursor(_) => {
            StatusCode::BAD_REQUEST
        }
        AppError::Contended | AppError::Behind { .. } | AppError::Unavailable(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        AppError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Puts an error that comes from below the handlers (no such route, a body that is too large, a timeout) into
/// the form of all others.
pub(super) async fn in_form(response: Response<Body>) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().get(header::CONTENT_TYPE) == Some(&MEDIA_TYPE) {
        return response;
    }
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => ("no_such_route", "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this path has other methods"),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the body of the request is too large"),
        StatusCode::SERVICE_UNAVAILABLE => ("timeout", "the request took too long"),
        StatusCode::BAD_REQUEST => ("malformed", "the request cannot be read"),
        _ => ("error", "the request was not fulfilled"),
    };
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut response = Problem::new(status, code, detail).into_response();
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
