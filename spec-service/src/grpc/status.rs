//! Errors as `google.rpc.Status` with details.

use std::any::Any;
use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::app::AppError;
use crate::domain::{Rejection, SpecId};

const DOMAIN: &str = "spec-service";
const FAILED: &str = "the service failed; its log says why";

impl From<AppError> for Status {
    fn from(error: AppError) -> Self {
        of(&error, "")
    }
}

/// The same, of a call about one specification.
pub(super) fn about(id: SpecId) -> impl FnOnce(AppError) -> Status {
    move |error| of(&error, &id.to_string())
}

fn of(error: &AppError, resource: &str) -> Status {
    let code = code(error);
    let mut details = ErrorDetails::new();
    let facts: HashMap<String, String> = error
        .facts()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), plain(&value)))
        .collect();
    details.set_error_info(error.code().to_uppercase(), DOMAIN, facts);
    if let Some(field) = field(error) {
        details.add_bad_request_violation(field, error.to_string());
    }
    if retriable(error) {
        details.set_retry_info(Some(Duration::from_secs(1)));
    }
    if code == Code::NotFound {
        details.set_resource_info("spec.v1.Spec", resource, "", error.to_string());
    }
    error.log();
    let message = match code {
        Code::Internal => FAILED.to_owned(),
        _ => error.to_string(),
    };
    Status::with_error_details(code, message, details)
}

/// The answer to a call that panic_message; the panic itself is reported by the hook.
pub(super) fn panic_message(_: Box<dyn Any + Send>) -> http::Response<Body> {
    let details = ErrorDetails::with_error_info("INTERNAL", DOMAIN, HashMap::new());
    Status::with_error_details(Code::Internal, FAILED, details).into_http()
}

/// A field or an entry of the metadata that cannot be read.
pub(super) fn malformed(field: &str, rule: &str) -> Status {
    let mut details = ErrorDetails::with_bad_request_violation(field, rule);
    details.set_error_info("MALFORMED", DOMAIN, HashMap::new());
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {rule}"), details)
}

/// The stream of changes ends because the service does.
pub(super) fn stopping() -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    details.set_error_info("STOPPING", DOMAIN, HashMap::new());
    Status::with_error_details(Code::Unavailable, "the service is stopping", details)
}

/// The field as the contract calls it, or the entry of the metadata.
fn field(error: &AppError) -> Option<&'static str> {
    match error {
        AppError::Limit { .. } => Some("page_size"),
        AppError::Cursor(_) => Some("page_token"),
        AppError::Key { .. } => Some("idempotency-key"),
        other => other.field(),
    }
}

fn retriable(error: &AppError) -> bool {
    matches!(
        error,
        AppError::Contended | AppError::Behind { .. } | AppError::Unavailable(_)
    )
}

fn code(error: &AppError) -> Code {
    match error {
        AppError::Name(_)
        | AppError::Content(_)
        | AppError::KeyReused { .. }
        | AppError::Key { .. }
        | AppError::Limit { .. }
        | AppError::Cursor(_)
        | AppError::Rejected(Rejection::NoReason | Rejection::TooLong { .. }) => {
            Code::InvalidArgument
        }
        AppError::Rejected(Rejection::NotFound | Rejection::NoSuchVersion { .. }) => Code::NotFound,
        AppError::Rejected(Rejection::NameTaken { .. } | Rejection::AlreadyExists) => {
            Code::AlreadyExists
        }
        AppError::Rejected(
            Rejection::Deleted | Rejection::NotAllowed { .. } | Rejection::AlreadyPublished { .. },
        ) => Code::FailedPrecondition,
        AppError::Rejected(Rejection::VersionMismatch { .. })
        | AppError::RevisionMismatch { .. }
        | AppError::Contended => Code::Aborted,
        AppError::Behind { .. } | AppError::Unavailable(_) => Code::Unavailable,
        AppError::Internal(_) => Code::Internal,
    }
}

/// A fact as the text that `ErrorInfo` wants.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
