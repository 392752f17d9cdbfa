//! [`AppendError`]: the reason why an append was not stored.

use uuid::Uuid;

use super::conflict::{Conflict, Violation};
use crate::document::{DocumentError, InvalidDocumentChanges};
use crate::error::{BoxError, StoreError};
use crate::field::InvalidField;
use crate::position::Position;
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
    /// An event id of the append is stored already.
    #[error("event id {id} was already used at position {position}; create an id for each event")]
    EventIdReused {
        /// The id.
        id: Uuid,
        /// The position of the stored event.
        position: Position,
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
    #[error(
        "stream {stream} occurs twice in one append; name it once, and mix its events with those of other streams"
    )]
    DuplicateStream {
        /// The stream.
        stream: StreamId,
    },
    /// An event belongs to a stream that the append does not have.
    #[error("invalid stream index of an event: {index}; the append has {streams} streams")]
    UnknownStream {
        /// The index.
        index: usize,
        /// The number of streams.
        streams: usize,
    },
    /// Two events have the same id.
    #[error("event id {id} occurs twice in one append; create an id for each event")]
    DuplicateEventId {
        /// The id.
        id: Uuid,
    },
    /// A field is too large, or has characters that are not allowed.
    #[error(transparent)]
    Field(#[from] InvalidField),
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
