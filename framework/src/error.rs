//! What goes wrong between the engine and a store, one type per operation.

use std::fmt;

use crate::append::{Condition, Expected};
use crate::document::{InvalidChanges, Revision};
use crate::place::{Position, Version};
use crate::record::{ContentType, RecordedEvent};
use crate::stream::StreamId;
use crate::timestamp::Timestamp;
use crate::upcast::UpcastError;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The backend failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was done, and it may work when tried again: a lock was not free in time, there is no
    /// connection.
    #[error("the store is not available at the moment")]
    Unavailable(#[source] Source),
    /// The connection was lost on the way: what was asked may have been done.
    #[error("the connection to the store was lost before its answer came")]
    Interrupted(#[source] Source),
    /// Trying again will not help.
    #[error("the store failed")]
    Failed(#[source] Source),
    /// What the backend holds is not what a store writes.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// The data was written by a newer version of this adapter.
    #[error(
        "the store has schema version {found}, this code knows up to {known}: update the program"
    )]
    NewerSchema {
        /// The version found.
        found: u32,
        /// The newest version that this code knows.
        known: u32,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

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
    #[error("the inline projection {name:?} refuses the append")]
    Projection {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        error: Source,
    },
    /// The backend failed. After [`StoreError::Unavailable`] nothing was stored, after
    /// [`StoreError::Interrupted`] that is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every expectation of an append that the store does not meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Conflict {
    /// At least one.
    pub violations: Vec<Violation>,
}

impl Conflict {
    /// Whether a document has moved: no other decision about the streams changes that.
    pub(crate) fn is_of_documents(&self) -> bool {
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
        expected: Expected,
        /// Its version.
        actual: Version,
    },
    /// An event that matches the condition has arrived.
    Condition {
        /// What must not have happened.
        condition: Condition,
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
                    Expected::Any => "anything".to_owned(),
                    Expected::NoStream => "no stream".to_owned(),
                    Expected::StreamExists => "a stream".to_owned(),
                    Expected::Exact(version) => format!("version {version}"),
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
    StreamTwice {
        /// Which stream.
        stream: StreamId,
    },
    /// More than [`MAX_APPEND`](crate::append::MAX_APPEND) events.
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
        "`{field}` of {name} is personal data: put the store into a `factum::personal::PersonalStore`, \
         which encrypts it"
    )]
    Personal {
        /// The event's stored name.
        name: String,
        /// The key of the field.
        field: &'static str,
    },
    /// Personal data of a subject that was forgotten.
    #[error("`{field}` of {name} is personal data of a subject that was forgotten at {since}")]
    Forgotten {
        /// The event's stored name.
        name: String,
        /// The key of the field.
        field: &'static str,
        /// When.
        since: Timestamp,
    },
    /// Changes of documents that no store makes.
    #[error(transparent)]
    Changes(#[from] InvalidChanges),
    /// A field is not what can be sealed.
    #[error("`{field}` of {name} cannot be stored: {reason}")]
    Unsealable {
        /// The event's stored name.
        name: String,
        /// The key of the field.
        field: String,
        /// Why.
        reason: &'static str,
    },
}

/// An event could not be turned into its stored form.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be encoded")]
pub struct EncodeError {
    /// The event's stored name.
    pub name: &'static str,
    /// Why.
    pub source: Source,
}

/// A stored event could not be read by this code.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} (version {schema_version}) at position {position}, {stream} version {version}, cannot be decoded: {fault}"
)]
pub struct DecodeError {
    /// Where it stands in the store.
    pub position: Position,
    /// The stream that holds it.
    pub stream: StreamId,
    /// Its place in the stream.
    pub version: Version,
    /// Its stored name.
    pub name: String,
    /// The version of its stored form.
    pub schema_version: u32,
    /// Why.
    pub fault: DecodeFault,
}

impl DecodeError {
    /// No event type that is wanted has the name of `record`.
    #[must_use]
    pub fn unknown(record: &RecordedEvent) -> Self {
        Self::new(record, DecodeFault::UnknownName)
    }

    pub(crate) fn new(record: &RecordedEvent, fault: DecodeFault) -> Self {
        Self {
            position: record.position,
            stream: record.stream.clone(),
            version: record.version,
            name: record.name.to_string(),
            schema_version: record.schema_version,
            fault,
        }
    }
}

/// Why a stored event could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// No variant has this stored name.
    #[error("no event of this type has that name")]
    UnknownName,
    /// It stands for none or several events of today, where one is asked for.
    #[error("it stands for {count} events of today, and one is asked for: use `decode_all`")]
    NotOne {
        /// How many.
        count: usize,
    },
    /// It was written by newer code.
    #[error("it was stored as version {stored}, this code knows up to {known}: update the program")]
    NewerVersion {
        /// The version stored.
        stored: u32,
        /// The newest version that this code knows.
        known: u32,
    },
    /// An upcaster refused the old form.
    #[error("the upcaster failed {0}")]
    Upcast(UpcastError),
    /// The data do not fit the type.
    #[error("{0}")]
    Json(serde_json::Error),
    /// The data are in a form for which there is no codec.
    #[error("there is no codec for {0}")]
    ContentType(ContentType),
    /// It holds [personal](crate::personal) data that cannot be opened: why.
    #[error("{0}")]
    Sealed(String),
}
