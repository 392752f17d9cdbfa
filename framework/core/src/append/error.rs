//! [`AppendError`]: the reason why an append was not stored.

use super::conflict::{Conflict, Violation};
use crate::document::{DocumentError, InvalidDocumentChanges};
use crate::error::{BoxError, StoreError};
use crate::stream_id::StreamId;
use crate::timestamp::Timestamp;

/// The reason why an append was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The store does not meet the expectations of the append.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The idempotency key belongs to an append with other content.
    #[error(
        "idempotency key {key:?} was already used for other content; use one key for each request"
    )]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The append violates a rule that holds for every store.
    #[error(transparent)]
    Invalid(#[from] InvalidAppend),
    /// An inline projection, which runs in the append transaction, failed on one of the events.
    #[error("inline projection {name:?} rejected the append")]
    Projection {
        /// The name of the projection.
        name: String,
        /// The error of the projection.
        #[source]
        error: BoxError,
    },
    /// The backend failed.
    ///
    /// After [`StoreError::Unavailable`] nothing was stored. After [`StoreError::Interrupted`] the append may have been
    /// stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DocumentError> for AppendError {
    /// Converts the error of the document changes that are a part of an append.
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::RevisionConflict {
                key,
                expected,
                actual,
            } => Conflict {
                violations: vec![Violation::Document {
                    key,
                    expected,
                    actual,
                }],
            }
            .into(),
            DocumentError::Invalid(invalid) => InvalidAppend::from(invalid).into(),
            DocumentError::Store(error) => error.into(),
        }
    }
}

/// The rule that an append violates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAppend {
    /// A stream occurs twice.
    #[error("stream {stream} occurs twice in one append; put its events into one list")]
    DuplicateStream {
        /// The stream.
        stream: StreamId,
    },
    /// The append has more than [`MAX_APPEND`](crate::append::MAX_APPEND) events.
    #[error("too many events in one append: {count}; the limit is {limit}")]
    TooManyEvents {
        /// The number of events.
        count: usize,
        /// The maximum number of events.
        limit: usize,
    },
    /// The data of an event has more than [`MAX_EVENT_DATA`](crate::record::MAX_EVENT_DATA) bytes.
    #[error("event data is too large: {bytes} bytes; the limit is {limit}")]
    DataTooLarge {
        /// The size of the data, in bytes.
        bytes: usize,
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// An event type is empty, longer than 255 bytes, or contains control characters.
    #[error("invalid event type {name:?}: expected 1 to 255 bytes without control characters")]
    Name {
        /// The event type, truncated to 80 characters.
        name: String,
    },
    /// An idempotency key is empty or too long.
    #[error("invalid length of an idempotency key: {bytes} bytes; expected 1 to {limit} bytes")]
    Key {
        /// The length of the key, in bytes.
        bytes: usize,
        /// The maximum length, in bytes.
        limit: usize,
    },
    /// Data with the content type JSON is not UTF-8.
    #[error("the JSON data of event {name:?} is not UTF-8")]
    JsonNotUtf8 {
        /// The event type.
        name: String,
    },
    /// A field contains personal data that is not encrypted.
    #[error(
        "field `{field}` of {name} contains personal data, which this store does not encrypt; \
         wrap the store in `factum::privacy::PersonalDataStore`"
    )]
    Personal {
        /// The event type.
        name: String,
        /// The key of the field.
        field: &'static str,
    },
    /// A field contains personal data of an erased subject.
    #[error("`{field}` of {name} is personal data of a subject that was erased at {since}")]
    Erased {
        /// The event type.
        name: String,
        /// The key of the field.
        field: &'static str,
        /// The time of the erasure.
        since: Timestamp,
    },
    /// The document changes of the append are not valid.
    #[error(transparent)]
    Changes(#[from] InvalidDocumentChanges),
    /// A field cannot be encrypted.
    #[error("field `{field}` of {name} cannot be encrypted: {reason}")]
    NotEncryptable {
        /// The event type.
        name: String,
        /// The key of the field.
        field: String,
        /// The reason.
        reason: &'static str,
    },
}
