//! [`Problem`]: the errors of Factum as problem details, RFC 9457.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use factum::engine::{ExecuteError, LoadError};
use factum::store::{InvalidAppend, StoreError, error_chain};
use serde_json::json;

/// A failed request: the status, and the members of a problem document.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// The last part of the problem type, which clients compare.
    pub kind: &'static str,
    pub detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            status,
            kind,
            detail,
        }
    }

    /// The caller's mistakes, which no retry repairs.
    fn invalid(error: &dyn std::error::Error) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-request",
            error.to_string(),
        )
    }

    /// An error of the program: the details belong into the log, not into the answer.
    fn internal(error: &dyn std::error::Error) -> Self {
        eprintln!("error: {}", error_chain(error));
        let detail = "the request failed because of an error of the server";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

/// The mapping of each variant to HTTP.
///
/// A conflict is 412 if the client required a version, and otherwise a matter of load. A reused key is 422, as in the
/// IETF draft "The Idempotency-Key HTTP Header Field".
impl<E: std::error::Error + 'static> From<ExecuteError<E>> for Problem {
    fn from(error: ExecuteError<E>) -> Self {
        match error {
            ExecuteError::Rejected(rejection) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "rejected",
                rejection.to_string(),
            ),
            ExecuteError::Conflict { .. } => {
                let detail = "other requests change the same account; retry later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "contended", detail)
            }
            ExecuteError::KeyReused { .. } => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self::new(status, "idempotency-key-reused", error.to_string())
            }
            ExecuteError::DuplicateStream { .. } | ExecuteError::InvalidTarget(_) => {
                Self::invalid(&error)
            }
            // The only field that this API takes from a client unchecked is the idempotency key.
            ExecuteError::InvalidAppend(InvalidAppend::Field(_)) => Self::invalid(&error),
            ExecuteError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::InvalidStreamId(_) => Self::invalid(&error),
            LoadError::NoSuchVersion { .. } => {
                Self::new(StatusCode::NOT_FOUND, "no-such-version", error.to_string())
            }
            LoadError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Interrupted(_) | StoreError::Closed => {
                let detail = format!("{error}; retry with the same idempotency key");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
            error => Self::internal(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("https://example.com/problems/{}", self.kind),
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
