//! The details of errors of version 2.

use factum::store::{AppendError, MAX_APPEND_BYTES, MAX_EVENT_DATA, StoreError};
use factum_compatible_protocols::kurrentdb::rpc::AccessDeniedErrorDetails;
use factum_compatible_protocols::kurrentdb::v2::streams::errors::{
    AppendConsistencyViolationErrorDetails, AppendRecordSizeExceededErrorDetails,
    AppendTransactionSizeExceededErrorDetails, ConsistencyViolation,
    StreamAlreadyInAppendSessionErrorDetails, StreamDeletedErrorDetails,
    StreamRevisionConflictErrorDetails, StreamTombstonedErrorDetails,
};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

use super::super::errors::{Refused, any};

/// The name of the operation in messages.
const OPERATION: &str = "Append";

/// Returns the status of a call.
pub fn status(refused: &Refused) -> Status {
    match refused {
        Refused::WrongExpectedVersion {
            stream,
            expected,
            actual,
        } => {
            let (expected, actual) = (expected.number(), actual.map_or(-1, |actual| actual as i64));
            let message = format!(
                "Append failed due to a revision conflict on stream '{stream}'. Expected revision: {expected}. \
                 Actual revision: {actual}."
            );
            let details = StreamRevisionConflictErrorDetails {
                stream: stream.clone(),
                expected_revision: expected,
                actual_revision: actual,
            };
            with_details(
                Code::FailedPrecondition,
                message,
                "StreamRevisionConflictErrorDetails",
                &details,
            )
        }
        Refused::StreamDeleted {
            stream,
            has_tombstone: true,
        } => {
            let message = format!("Stream '{stream}' has been tombstoned.");
            let details = StreamTombstonedErrorDetails {
                stream: stream.clone(),
            };
            with_details(
                Code::FailedPrecondition,
                message,
                "StreamTombstonedErrorDetails",
                &details,
            )
        }
        Refused::StreamDeleted {
            stream,
            has_tombstone: false,
        } => {
            let message = format!("Stream '{stream}' has been deleted.");
            let details = StreamDeletedErrorDetails {
                stream: stream.clone(),
            };
            with_details(
                Code::FailedPrecondition,
                message,
                "StreamDeletedErrorDetails",
                &details,
            )
        }
        Refused::TooLarge { size } => {
            let message = format!(
                "The size of the append exceeded the maximum allowed size: {size} bytes; at most {MAX_APPEND_BYTES}"
            );
            let details = AppendTransactionSizeExceededErrorDetails {
                size: bytes(*size),
                max_size: bytes(MAX_APPEND_BYTES),
            };
            with_details(
                Code::Aborted,
                message,
                "AppendTransactionSizeExceededErrorDetails",
                &details,
            )
        }
        Refused::Store(error) => match &**error {
            AppendError::Store(StoreError::Denied(denied)) => {
                let details = AccessDeniedErrorDetails {
                    operation: denied.resource.clone(),
                    username: Some(denied.principal.clone()),
                    permission: Some(denied.permission.clone()),
                };
                let details = any("kurrent.rpc.AccessDeniedErrorDetails", &details);
                packed(Code::PermissionDenied, denied.to_string(), details)
            }
            _ => refused.status(OPERATION),
        },
        _ => refused.status(OPERATION),
    }
}

/// Returns the status for a record that is too large.
pub fn record_too_large(stream: &str, record_id: String, size: usize) -> Status {
    let message = format!(
        "The size of record {record_id} ({size} bytes) exceeds the maximum allowed size of {MAX_EVENT_DATA} bytes"
    );
    let details = AppendRecordSizeExceededErrorDetails {
        stream: stream.to_owned(),
        record_id,
        size: bytes(size),
        max_size: bytes(MAX_EVENT_DATA),
    };
    with_details(
        Code::InvalidArgument,
        message,
        "AppendRecordSizeExceededErrorDetails",
        &details,
    )
}

/// Returns the status for a session that contains a stream twice.
pub fn already_in_session(stream: &str) -> Status {
    let message = format!("Stream '{stream}' is already part of this append session.");
    let details = StreamAlreadyInAppendSessionErrorDetails {
        stream: stream.to_owned(),
    };
    with_details(
        Code::Aborted,
        message,
        "StreamAlreadyInAppendSessionErrorDetails",
        &details,
    )
}

/// Returns the status for a session without requests.
pub fn no_requests() -> Status {
    Status::failed_precondition("the append session has no requests; send at least one")
}

/// Returns the status for checks that failed.
pub fn violations(violations: Vec<ConsistencyViolation>) -> Status {
    let message = format!("{} consistency checks failed", violations.len());
    let details = AppendConsistencyViolationErrorDetails { violations };
    with_details(
        Code::FailedPrecondition,
        message,
        "AppendConsistencyViolationErrorDetails",
        &details,
    )
}

fn with_details(code: Code, message: String, type_name: &str, details: &impl Message) -> Status {
    let type_name = format!("kurrentdb.protocol.v2.streams.errors.{type_name}");
    packed(code, message, any(&type_name, details))
}

fn packed(code: Code, message: String, details: prost_types::Any) -> Status {
    let status = pb::Status {
        code: code.into(),
        message: message.clone(),
        details: vec![details],
    };
    Status::with_details(code, message, status.encode_to_vec().into())
}

fn bytes(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
