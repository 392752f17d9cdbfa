//! Conversion of errors to `google.rpc.Status` with details.

use std::any::Any;
use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::app::{AppError, RefusalKind};
use crate::metrics::record_refusal;

const DOMAIN: &str = "spec-service";
const INTERNAL_MESSAGE: &str = "internal error; see the service log";

impl From<AppError> for Status {
    fn from(error: AppError) -> Self {
        to_status(&error, None)
    }
}

/// Returns a conversion for errors of calls on one thing, for example `spec.v1.Spec` and its id.
///
/// The thing becomes the resource of a status that says that it was not found.
pub fn for_resource(kind: &'static str, name: impl ToString) -> impl FnOnce(AppError) -> Status {
    move |error| to_status(&error, Some((kind, &name.to_string())))
}

fn to_status(error: &AppError, resource: Option<(&str, &str)>) -> Status {
    let code = code(error);
    let mut details = ErrorDetails::new();
    let facts: HashMap<String, String> = error
        .facts()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), fact_text(&value)))
        .collect();
    details.set_error_info(error.code().to_uppercase(), DOMAIN, facts);
    if let Some(field) = field(error) {
        details.add_bad_request_violation(field, error.to_string());
    }
    if is_retryable(error) {
        details.set_retry_info(Some(Duration::from_secs(1)));
    }
    if let (Code::NotFound, Some((kind, name))) = (code, resource) {
        details.set_resource_info(kind, name, "", error.to_string());
    }
    error.log();
    if error.is_refusal() {
        record_refusal("grpc", error.code(), &error.to_string());
    }
    let message = match code {
        Code::Internal => INTERNAL_MESSAGE.to_owned(),
        _ => error.to_string(),
    };
    Status::with_error_details(code, message, details)
}

/// Creates the response to a call that panicked. The panic hook reports the panic itself.
pub fn panic_response(_: Box<dyn Any + Send>) -> http::Response<Body> {
    let details = ErrorDetails::with_error_info("INTERNAL", DOMAIN, HashMap::new());
    Status::with_error_details(Code::Internal, INTERNAL_MESSAGE, details).into_http()
}

/// Creates the status for a malformed field or metadata entry.
pub fn malformed(field: &str, rule: &str) -> Status {
    let mut details = ErrorDetails::with_bad_request_violation(field, rule);
    details.set_error_info("MALFORMED", DOMAIN, HashMap::new());
    let message = format!("{field}: {rule}");
    record_refusal("grpc", "malformed", &message);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Creates the status for a message that is not in the format of the contract.
pub fn undecodable(error: &Status) -> Status {
    let details = ErrorDetails::with_error_info("MALFORMED", DOMAIN, HashMap::new());
    let message = format!(
        "malformed message: {}; encode it by the contract",
        error.message()
    );
    record_refusal("grpc", "malformed", &message);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Creates the status that ends a stream when the service stops.
pub fn stopping() -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    details.set_error_info("STOPPING", DOMAIN, HashMap::new());
    Status::with_error_details(Code::Unavailable, "the service is stopping", details)
}

/// Creates the status for a stream beyond the maximum number.
pub fn too_many_streams() -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    details.set_error_info("TOO_MANY_STREAMS", DOMAIN, HashMap::new());
    let message = "too many streams of changes; close one, or try again later";
    record_refusal("grpc", "too_many_streams", message);
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// Returns the name of the invalid field in the contract, or of the invalid metadata entry.
fn field(error: &AppError) -> Option<&'static str> {
    match error {
        AppError::InvalidLimit { .. } => Some("page_size"),
        AppError::Cursor(_) => Some("page_token"),
        AppError::InvalidKey { .. } => Some("idempotency-key"),
        other => other.field(),
    }
}

fn is_retryable(error: &AppError) -> bool {
    matches!(
        error,
        AppError::Contended | AppError::ListBehind { .. } | AppError::Unavailable(_)
    )
}

fn code(error: &AppError) -> Code {
    match error {
        AppError::Refused(refusal) => match refusal.kind() {
            RefusalKind::Invalid | RefusalKind::TooLarge => Code::InvalidArgument,
            RefusalKind::Unauthenticated => Code::Unauthenticated,
            RefusalKind::Forbidden => Code::PermissionDenied,
            RefusalKind::NotFound => Code::NotFound,
            RefusalKind::AlreadyExists => Code::AlreadyExists,
            RefusalKind::Gone | RefusalKind::NotAllowed => Code::FailedPrecondition,
            RefusalKind::Stale => Code::Aborted,
            RefusalKind::TooMany => Code::ResourceExhausted,
        },
        AppError::KeyReused { .. }
        | AppError::InvalidKey { .. }
        | AppError::Text(_)
        | AppError::InvalidLimit { .. }
        | AppError::Cursor(_) => Code::InvalidArgument,
        AppError::ReadOnly => Code::FailedPrecondition,
        AppError::BeyondHead { .. } => Code::OutOfRange,
        AppError::RevisionMismatch { .. } | AppError::Contended => Code::Aborted,
        AppError::ListBehind { .. } | AppError::Unavailable(_) => Code::Unavailable,
        AppError::Internal(_) => Code::Internal,
    }
}

/// Formats a fact for the metadata of `ErrorInfo`.
fn fact_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(fact_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
