//! The errors of encoding and decoding events.

use factum_core::position::{Position, Version};
use factum_core::record::{ContentType, RecordedEvent};
use factum_core::stream_id::StreamId;

use crate::domain::upcast::UpcastError;

pub use factum_core::error::{BoxError, Outage, StoreError, error_chain, panic_message};

/// An event, a command or a decision that could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode {name}")]
pub struct EncodeError {
    /// The event type, or the name of the command.
    pub name: &'static str,
    /// The cause.
    pub source: BoxError,
}

/// A stored event that could not be decoded.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot decode {name} at position {position} ({stream} version {version}, schema version {schema_version})"
)]
pub struct DecodeError {
    /// The position of the event.
    pub position: Position,
    /// The stream of the event.
    pub stream: StreamId,
    /// The version of the event in its stream.
    pub version: Version,
    /// The event type.
    pub name: String,
    /// The schema version of the stored data.
    pub schema_version: u32,
    /// The cause.
    #[source]
    pub kind: DecodeErrorKind,
}

impl DecodeError {
    /// Creates the error for a record whose event type the caller does not expect.
    #[must_use]
    pub fn unknown(record: &RecordedEvent) -> Self {
        Self::new(record, DecodeErrorKind::UnknownName)
    }

    /// Creates the error for `record` and its cause.
    #[must_use]
    pub fn new(record: &RecordedEvent, kind: DecodeErrorKind) -> Self {
        Self {
            position: record.position,
            stream: record.stream.clone(),
            version: record.version,
            name: record.name.to_string(),
            schema_version: record.schema_version,
            kind,
        }
    }
}

/// The cause of a [`DecodeError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// No variant has this event type.
    #[error(
        "unknown event type; add a variant with this `name` or `alias`, or list the type in `retired`"
    )]
    UnknownName,
    /// The record does not represent exactly one current event.
    #[error("the record represents {count} current events, expected one; use `decode_all`")]
    NotExactlyOne {
        /// The number of current events.
        count: usize,
    },
    /// A newer program stored the event.
    #[error(
        "schema version {stored} is newer than version {known}, the latest that this program supports; update the program"
    )]
    NewerVersion {
        /// The stored schema version.
        stored: u32,
        /// The latest schema version that this program supports.
        known: u32,
    },
    /// An upcaster failed.
    #[error("upcaster failed: {0}")]
    Upcast(UpcastError),
    /// The data does not fit the event type.
    #[error("the data does not fit the event type; raise its `version` and add an upcaster")]
    Json(#[source] serde_json::Error),
    /// The data has a content type without a codec.
    #[error("unsupported content type: {0}; expected JSON")]
    ContentType(ContentType),
    /// The personal data of the event could not be decrypted, for the stated reason.
    #[error("{0}")]
    Encrypted(String),
}
