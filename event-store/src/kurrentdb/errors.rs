//! [`Refused`]: errors in the three forms that clients read: trailers, status details of a batch, and details of version 2.

use factum::store::{AppendError, DocumentError, MAX_APPEND_BYTES, StoreError};
use factum_compatible_protocols::kurrentdb::client;
use factum_store_protocol::refusal::{append_status, for_trailers, store_status};
use prost::Message;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Status};
use tonic_types::pb;

use super::expected::ExpectedState;
use crate::groups::error::GroupError;

/// The prefix of the type of details.
const TYPE_PREFIX: &str = "type.googleapis.com/";

/// The number of characters of a text in a trailer.
const MAX_TRAILER: usize = 1_024;

/// The reason why a request was refused.
#[derive(Debug)]
pub enum Refused {
    /// The stream has another revision than the client expects.
    WrongExpectedVersion {
        /// The stream.
        stream: String,
        /// The expectation of the client.
        expected: ExpectedState,
        /// The revision of the last event; `None` if the stream does not exist.
        actual: Option<u64>,
    },
    /// The stream has a tombstone, or the client expects that a deleted stream exists.
    StreamDeleted {
        /// The stream.
        stream: String,
        /// Set if the stream has a tombstone.
        has_tombstone: bool,
    },
    /// The events of an append are too large.
    TooLarge {
        /// The size of the events in bytes.
        size: usize,
    },
    /// The metadata of an event lacks a property.
    MissingProperty(&'static str),
    /// The deadline of the client has passed.
    DeadlinePassed,
    /// The request is not valid.
    Invalid(String),
    /// Other requests changed the same streams each time.
    Contended,
    /// The store failed, or does not permit the request.
    Store(Box<AppendError>),
}

impl From<AppendError> for Refused {
    fn from(error: AppendError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        AppendError::from(error).into()
    }
}

impl From<DocumentError> for Refused {
    fn from(error: DocumentError) -> Self {
        AppendError::from(error).into()
    }
}

impl Refused {
    /// Converts the error of a consumer group.
    #[must_use]
    pub fn from_group(error: GroupError) -> Self {
        match error {
            GroupError::Store(error) => error.into(),
            other => Self::Invalid(other.to_string()),
        }
    }

    /// Returns the status of a call of version 1. `operation` begins its message, for example `Append`.
    #[must_use]
    pub fn status(&self, operation: &str) -> Status {
        match self {
            Self::WrongExpectedVersion {
                stream,
                expected,
                actual,
            } => {
                let expected = expected.number();
                let actual = actual.map_or(-1, |actual| actual as i64);
                let message = format!(
                    "{operation} failed due to WrongExpectedVersion. Stream: {stream}, Expected version: {expected}, \
                     Actual version: {actual}"
                );
                let status = Status::failed_precondition(message);
                let actual = if actual < 0 {
                    String::new()
                } else {
                    actual.to_string()
                };
                with_trailers(
                    status,
                    "wrong-expected-version",
                    &[
                        ("stream-name", stream),
                        ("expected-version", &expected.to_string()),
                        ("actual-version", &actual),
                    ],
                )
            }
            Self::StreamDeleted { stream, .. } => {
                let status =
                    Status::failed_precondition(format!("Event stream '{stream}' is deleted."));
                with_trailers(status, "stream-deleted", &[("stream-name", stream)])
            }
            Self::TooLarge { .. } => {
                let message = format!("Maximum Append Size of {MAX_APPEND_BYTES} Exceeded.");
                let limit = MAX_APPEND_BYTES.to_string();
                let trailers = [("maximum-append-size", &*limit)];
                let status = Status::invalid_argument(message);
                with_trailers(status, "maximum-append-size-exceeded", &trailers)
            }
            Self::MissingProperty(property) => {
                let message = format!("Required Metadata Property '{property}' is missing");
                let trailers = [("required-metadata-properties", "type,content-type")];
                let status = Status::invalid_argument(message);
                with_trailers(status, "missing-required-metadata-property", &trailers)
            }
            Self::DeadlinePassed => {
                Status::deadline_exceeded("the deadline of the request has passed")
            }
            Self::Invalid(message) => Status::invalid_argument(message),
            Self::Contended => Status::aborted(
                "Operation timed out: other requests changed the same streams each time; retry",
            ),
            Self::Store(error) => denied_trailer(for_trailers(append_status(error))),
        }
    }

    /// Returns the status of one append in a stream of appends, with the details that clients read.
    #[must_use]
    pub fn batch_status(&self) -> pb::Status {
        let (code, message, details) = match self {
            Self::WrongExpectedVersion {
                expected, actual, ..
            } => {
                let details = wrong_expected_version(*expected, *actual);
                (
                    Code::FailedPrecondition,
                    "WrongExpectedVersion".to_owned(),
                    any("event_store.client.WrongExpectedVersion", &details),
                )
            }
            Self::StreamDeleted { stream, .. } => {
                let name = stream.clone().into_bytes().into();
                let stream_identifier = Some(client::StreamIdentifier { stream_name: name });
                let details = any(
                    "event_store.client.StreamDeleted",
                    &client::StreamDeleted { stream_identifier },
                );
                (
                    Code::FailedPrecondition,
                    format!("Event stream '{stream}' is deleted."),
                    details,
                )
            }
            Self::TooLarge { .. } => {
                let max_append_size = u32::try_from(MAX_APPEND_BYTES).unwrap_or(u32::MAX);
                let details = any(
                    "event_store.client.MaximumAppendSizeExceeded",
                    &client::MaximumAppendSizeExceeded { max_append_size },
                );
                let message = format!("Maximum Append Size of {MAX_APPEND_BYTES} Exceeded.");
                (Code::InvalidArgument, message, details)
            }
            Self::DeadlinePassed | Self::Contended => (
                Code::DeadlineExceeded,
                "Timeout".to_owned(),
                any("event_store.client.Timeout", &client::Timeout {}),
            ),
            Self::MissingProperty(_) | Self::Invalid(_) => {
                let message = self.status("Append").message().to_owned();
                let details = any(
                    "event_store.client.BadRequest",
                    &client::BadRequest {
                        message: message.clone(),
                    },
                );
                (Code::InvalidArgument, message, details)
            }
            Self::Store(error) => {
                let status = append_status(error);
                let details = match status.code() {
                    Code::PermissionDenied | Code::Unauthenticated => {
                        any("event_store.client.AccessDenied", &client::AccessDenied {})
                    }
                    Code::InvalidArgument => any(
                        "event_store.client.BadRequest",
                        &client::BadRequest {
                            message: status.message().to_owned(),
                        },
                    ),
                    _ => any("event_store.client.Unknown", &client::Unknown {}),
                };
                (status.code(), status.message().to_owned(), details)
            }
        };
        pb::Status {
            code: code.into(),
            message,
            details: vec![details],
        }
    }
}

/// Converts the error of a read into the status of a call.
#[must_use]
pub fn read_status(error: &StoreError) -> Status {
    denied_trailer(store_status(error))
}

fn wrong_expected_version(
    expected: ExpectedState,
    actual: Option<u64>,
) -> client::WrongExpectedVersion {
    use client::wrong_expected_version::{
        CurrentStreamRevisionOption as Current, ExpectedStreamPositionOption as Expected,
    };
    client::WrongExpectedVersion {
        current_stream_revision_option: Some(match actual {
            Some(revision) => Current::CurrentStreamRevision(revision),
            None => Current::CurrentNoStream(()),
        }),
        expected_stream_position_option: Some(match expected {
            ExpectedState::Any => Expected::ExpectedAny(()),
            ExpectedState::NoStream => Expected::ExpectedNoStream(()),
            ExpectedState::Exists => Expected::ExpectedStreamExists(()),
            ExpectedState::Revision(revision) => Expected::ExpectedStreamPosition(revision),
        }),
    }
}

/// Adds the trailer by which clients recognize a missing permission.
fn denied_trailer(status: Status) -> Status {
    match status.code() {
        Code::PermissionDenied => with_trailers(status, "access-denied", &[]),
        _ => status,
    }
}

/// Adds the trailers by which clients recognize an error.
#[must_use]
pub fn with_trailers(
    mut status: Status,
    exception: &'static str,
    trailers: &[(&'static str, &str)],
) -> Status {
    let metadata = status.metadata_mut();
    metadata.insert("exception", AsciiMetadataValue::from_static(exception));
    for (name, value) in trailers {
        if let Ok(value) = AsciiMetadataValue::try_from(trailer(value)) {
            metadata.insert(*name, value);
        }
    }
    status
}

/// Returns a text as the value of a trailer: other characters than visible ASCII are percent-encoded.
fn trailer(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes().take(MAX_TRAILER) {
        match byte {
            b' '..=b'~' => value.push(byte.into()),
            other => value.push_str(&format!("%{other:02X}")),
        }
    }
    value
}

/// Packs the details of an error.
#[must_use]
pub fn any(type_name: &str, details: &impl Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("{TYPE_PREFIX}{type_name}"),
        value: details.encode_to_vec(),
    }
}
