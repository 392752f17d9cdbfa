//! [`Problem`]: an error response in the format of RFC 9457.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::{AppError, RefusalKind};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The maximum length of a detail, in characters. Some details repeat values of the caller.
const MAX_DETAIL: usize = 500;

/// The code and the detail of a problem, an extension of its response.
#[derive(Debug, Clone)]
pub struct ProblemSummary {
    pub code: &'static str,
    pub detail: String,
}

/// An error response.
#[derive(Debug)]
pub struct Problem(Box<ProblemDetails>);

#[derive(Debug, Serialize)]
struct ProblemDetails {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// The stable error code.
    code: &'static str,
    /// The machine-readable details.
    #[serde(flatten)]
    facts: Map<String, Value>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The result of a handler.
pub type ApiResult<T = Response> = Result<T, Problem>;

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
            detail.push('…');
        }
        Self(Box::new(ProblemDetails {
            kind: format!("urn:spec-service:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail,
            code,
            facts: Map::new(),
            headers: Vec::new(),
        }))
    }

    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// Creates a problem for a condition that does not hold for the revision `actual`.
    pub fn unmet_condition(actual: u64) -> Self {
        let detail = format!(
            "revision mismatch: the condition does not hold for revision {actual}; read the specification again"
        );
        Self::new(StatusCode::PRECONDITION_FAILED, "revision_mismatch", detail)
            .fact("actual", actual)
    }

    pub fn internal() -> Self {
        let detail = "internal error; see the service log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Creates a problem for an invalid field of the body, with its JSON pointer (RFC 6901).
    pub fn field(code: &'static str, pointer: &str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        problem.with_pointer(pointer)
    }

    /// Adds the JSON pointer of the invalid field.
    fn with_pointer(self, pointer: &str) -> Self {
        let mut error = json!({ "pointer": pointer, "detail": self.0.detail });
        for name in ["line", "column", "document"] {
            if let Some(value) = self.0.facts.get(name) {
                error[name] = value.clone();
            }
        }
        self.fact("errors", json!([error]))
    }

    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the body.
    pub fn to_json(&self) -> String {
        // Texts and numbers always have a JSON form.
        serde_json::to_string(&self.0).unwrap_or_default()
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
        let summary = ProblemSummary {
            code: self.0.code,
            detail: self.0.detail.clone(),
        };
        let mut response = (status, Json(self.0)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, MEDIA_TYPE);
        response.headers_mut().extend(headers);
        response.extensions_mut().insert(summary);
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
        if let (Some(field), true) = (error.field(), is_body_error(status)) {
            problem = problem.with_pointer(&format!("/{field}"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem = problem.retry_after("1");
        }
        problem
    }
}

fn is_body_error(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE
    )
}

/// Returns the status of an error.
pub fn status(error: &AppError) -> StatusCode {
    match error {
        AppError::Refused(refusal) => match refusal.kind() {
            RefusalKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            RefusalKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Gone => StatusCode::GONE,
            RefusalKind::AlreadyExists | RefusalKind::NotAllowed | RefusalKind::Stale => {
                StatusCode::CONFLICT
            }
            RefusalKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        },
        AppError::KeyReused { .. } | AppError::Text(_) => StatusCode::UNPROCESSABLE_ENTITY,
        AppError::BeyondHead { .. } => StatusCode::CONFLICT,
        AppError::ReadOnly => StatusCode::FORBIDDEN,
        AppError::RevisionMismatch { .. } => StatusCode::PRECONDITION_FAILED,
        AppError::InvalidKey { .. } | AppError::InvalidLimit { .. } | AppError::Cursor(_) => {
            StatusCode::BAD_REQUEST
        }
        AppError::Contended | AppError::ListBehind { .. } | AppError::Unavailable(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        AppError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Converts an error response of axum or a layer to a problem.
///
/// Such errors are for example a missing route, a body that is too large, or a timeout.
pub async fn to_problem(response: Response<Body>) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().get(header::CONTENT_TYPE) == Some(&MEDIA_TYPE) {
        return response;
    }
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => ("no_such_route", "no route has this path"),
        StatusCode::METHOD_NOT_ALLOWED => (
            "method_not_allowed",
            "method not allowed; see the `Allow` header",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "request body too large"),
        StatusCode::SERVICE_UNAVAILABLE => ("timeout", "request timed out"),
        StatusCode::BAD_REQUEST => ("malformed", "malformed request"),
        _ => ("error", "request failed"),
    };
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut response = Problem::new(status, code, detail).into_response();
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
