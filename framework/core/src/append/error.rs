//! Why an append was not stored.

use std::fmt;

use super::{AppendCondition, ExpectedVersion};
use crate::document::{ChangeError, InvalidChanges, Revision};
use crate::error::{BoxError, StoreError};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;
use crate::timestamp::Timestamp;

/// An append was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The store is not as expected.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The idempotency key stands for other content.
    #[error("idempotency key {key:?} was already used for other content")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// No store takes this.
    #[error(transparent)]
    Invalid(#[from] InvalidAppend),
    /// An inline projection, which takes the events as a part of the append, cannot take one of them.
    #[error("the inline projection {name:?} rejects the append")]
    Projection {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        error: BoxError,
    },
    /// The backend failed. After [`StoreError::Unavailable`] nothing was stored, after
    /// [`StoreError::Interrupted`] that is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ChangeError> for AppendError {
    /// For a store whose append changes documents as well.
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Moved {
                key,
                required,
                actual,
            } => Conflict {
                violations: vec![Violation::Document {
                    key,
                    required,
                    actual,
                }],
            }
            .into(),
            ChangeError::Invalid(invalid) => InvalidAppend::from(invalid).into(),
            ChangeError::Store(error) => error.into(),
        }
    }
}

/// Every expectation of an append that the store does not meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Conflict {
    /// At least one.
    pub violations: Vec<Violation>,
}

impl Conflict {
    /// Whether a document has moved: no other decision about the streams changes that.
    pub fn is_of_documents(&self) -> bool {
        let mut violations = self.violations.iter();
        violations.any(|violation| matches!(violation, Violation::Document { .. }))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("conflict: ")?;
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}

/// One expectation that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A stream is at another version.
    Version {
        /// Which stream.
        stream: StreamId,
        /// What was expected.
        expected: ExpectedVersion,
        /// Its version.
        actual: Version,
    },
    /// An event that matches the condition has arrived.
    Condition {
        /// What must not have happened.
        condition: AppendCondition,
        /// The position of the newest event that matches.
        found: Position,
    },
    /// A document is not at the revision that was required: judged when all else holds, and told of one.
    Document {
        /// Its key.
        key: String,
        /// The revision required.
        required: Revision,
        /// Its revision; 0: it does not exist.
        actual: Revision,
    },
    /// The database found that the append ran into another transaction, and stored nothing.
    Transaction {
        /// What it says, with its code.
        reason: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version {
                stream,
                expected,
                actual,
            } => {
                let expected = match expected {
                    ExpectedVersion::Any => "anything".to_owned(),
                    ExpectedVersion::NoStream => "no stream".to_owned(),
                    ExpectedVersion::StreamExists => "a stream".to_owned(),
                    ExpectedVersion::Exact(version) => format!("version {version}"),
                };
                write!(f, "{stream} is at version {actual}, expected {expected}")
            }
            Self::Condition { condition, found } => write!(
                f,
                "the event at position {found} matches a query that was known up to position {}",
                condition.after
            ),
            Self::Document {
                key,
                required,
                actual,
            } => write!(
                f,
                "the document {key:?} is at revision {actual}, required was {required}"
            ),
            Self::Transaction { reason } => {
                write!(f, "the database met another transaction: {reason}")
            }
        }
    }
}

/// An append that no store takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAppend {
    /// One stream, two lists of events.
    #[error("{stream} is named twice in one append")]
    DuplicateStream {
        /// Which stream.
        stream: StreamId,
    },
    /// More than [`MAX_APPEND`](super::MAX_APPEND) events.
    #[error("{count} events in one append, the limit is {limit}")]
    TooManyEvents {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// More than [`MAX_EVENT_DATA`](crate::record::MAX_EVENT_DATA) bytes.
    #[error("{bytes} bytes of data in one event, the limit is {limit}")]
    DataTooLarge {
        /// How many bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A stored name is empty, longer than 255 bytes, or holds control characters.
    #[error("{name:?} is no name for an event: 1 to 255 bytes without control characters")]
    Name {
        /// The name, cut after 80 characters.
        name: String,
    },
    /// An idempotency key is empty or too long.
    #[error("an idempotency key of {bytes} bytes: it must have 1 to {limit}")]
    Key {
        /// How many bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Data said to be JSON is not UTF-8.
    #[error("the JSON of {name} is not UTF-8")]
    JsonNotUtf8 {
        /// The event's stored name.
        name: String,
    },
    /// Personal data would be stored for everybody to read.
    #[error(
        "`{field}` of {name} is personal data: put the store into a `factum::privacy::PersonalDataStore`, \
         which encrypts it"
    )]
    Personal {
        /// The event's stored name.
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
    /// Changes of documents that no store makes.
    #[error(transparent)]
    Changes(#[from] InvalidChanges),
    /// A field is not what can be sealed.
    #[error("`{field}` of {name} cannot be stored: {reason}")]
    NotEncryptable {
        /// The event's stored name.
        name: String,
        /// The key of the field.
        field: String,
        /// Why.
        reason: &'static str,
    },
}
