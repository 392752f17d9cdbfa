//! Errors: a status whose details are an encoded `ErrorResponse`, from which clients choose their exception.

use factum::store::{AppendError, StoreError};
use factum_compatible_protocols::umadb::ErrorResponse;
use factum_compatible_protocols::umadb::error_response::ErrorType;
use factum_store_protocol::refusal::{append_status, store_status};
use prost::Message as _;
use tonic::{Code, Status};

/// The maximum length of a message in bytes. The trailers of a response contain it twice.
const MAX_MESSAGE: usize = 1_024;

/// Creates the status of an append whose condition is not met.
pub fn integrity(message: impl Into<String>) -> Status {
    status(
        Code::FailedPrecondition,
        ErrorType::Integrity,
        message.into(),
    )
}

/// Creates the status of a request with a field that violates a rule.
pub fn invalid(field: &str, rule: impl std::fmt::Display) -> Status {
    let message = format!("invalid {field}: {rule}");
    status(Code::InvalidArgument, ErrorType::InvalidArgument, message)
}

/// Converts the error of an append.
pub fn append_refused(error: &AppendError) -> Status {
    compatible(append_status(error))
}

/// Converts the error of a store.
pub fn store_failed(error: &StoreError) -> Status {
    compatible(store_status(error))
}

/// Replaces the details of a status by those of this protocol.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is used as the argument of `map_err`"
)]
pub fn compatible(error: Status) -> Status {
    let message = error.message().to_owned();
    match error.code() {
        // Without details, clients report a failure of the connection, after which they may retry.
        Code::Unavailable => Status::unavailable(message),
        Code::Aborted | Code::AlreadyExists => integrity(message),
        code => status(code, error_type(code), message),
    }
}

fn error_type(code: Code) -> ErrorType {
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorType::InvalidArgument,
        Code::Unauthenticated | Code::PermissionDenied => ErrorType::Authentication,
        Code::DataLoss => ErrorType::Corruption,
        Code::Internal => ErrorType::Internal,
        _ => ErrorType::Io,
    }
}

fn status(code: Code, error_type: ErrorType, mut message: String) -> Status {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    let details = ErrorResponse {
        message: message.clone(),
        error_type: error_type.into(),
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(status: &Status) -> ErrorResponse {
        ErrorResponse::decode(status.details()).expect("details")
    }

    #[test]
    fn details_have_the_type_that_clients_expect() {
        for (code, expected, error_type) in [
            (
                Code::Aborted,
                Code::FailedPrecondition,
                ErrorType::Integrity,
            ),
            (
                Code::AlreadyExists,
                Code::FailedPrecondition,
                ErrorType::Integrity,
            ),
            (
                Code::InvalidArgument,
                Code::InvalidArgument,
                ErrorType::InvalidArgument,
            ),
            (
                Code::OutOfRange,
                Code::OutOfRange,
                ErrorType::InvalidArgument,
            ),
            (
                Code::Unauthenticated,
                Code::Unauthenticated,
                ErrorType::Authentication,
            ),
            (
                Code::PermissionDenied,
                Code::PermissionDenied,
                ErrorType::Authentication,
            ),
            (Code::DataLoss, Code::DataLoss, ErrorType::Corruption),
            (Code::Internal, Code::Internal, ErrorType::Internal),
            (Code::Unknown, Code::Unknown, ErrorType::Io),
            (
                Code::FailedPrecondition,
                Code::FailedPrecondition,
                ErrorType::Io,
            ),
        ] {
            let status = compatible(Status::new(code, "why"));
            assert_eq!((status.code(), status.message()), (expected, "why"));
            let details = details(&status);
            assert_eq!(
                (details.error_type(), &*details.message),
                (error_type, "why")
            );
        }
        let unavailable = compatible(Status::unavailable("why"));
        assert_eq!(unavailable.code(), Code::Unavailable);
        assert!(unavailable.details().is_empty());
    }

    #[test]
    fn long_message_fits_into_trailers() {
        let status = integrity("é".repeat(MAX_MESSAGE));
        assert_eq!(status.message().len(), MAX_MESSAGE + '…'.len_utf8());
        assert_eq!(details(&status).message, status.message());
    }
}
