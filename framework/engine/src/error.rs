//! The errors of encoding and decoding events.

use factum_core::position::{Position, Version};
use factum_core::record::{ContentType, RecordedEvent};
use factum_core::stream_id::StreamId;

use crate::upcast::UpcastError;

pub use factum_core::error::{BoxError, StoreError, error_chain, panic_message};

/// An event could not be turned into its stored form.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be encoded")]
pub struct EncodeError {
    /// The event's stored name.
    pub name: &'static str,
    /// Why.
    pub source: BoxError,
}

/// A stored event could not be read by this code.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} (version {schema_version}) at position {position}, {stream} version {version}, cannot be decoded: {fault}"
)]
pub struct DecodeError {
    /// The position of the event.
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
    pub fault: DecodeErrorKind,
}

impl DecodeError {
    /// No event type that is wanted has the name of `record`.
    #[must_use]
    pub fn unknown(record: &RecordedEvent) -> Self {
        Self::new(record, DecodeErrorKind::UnknownName)
    }

    pub fn new(record: &RecordedEvent, fault: DecodeErrorKind) -> Self {
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
pub enum DecodeErrorKind {
    /// No variant has this stored name.
    #[error("no event of this type has that name")]
    UnknownName,
    /// It was split into no event or into several events, and the caller expects exactly one.
    #[error("it stands for {count} events of today, and one is asked for: use `decode_all`")]
    NotExactlyOne {
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
    /// An upcaster rejected the old form.
    #[error("the upcaster failed {0}")]
    Upcast(UpcastError),
    /// The data do not fit the type.
    #[error("{0}")]
    Json(serde_json::Error),
    /// The content type has no codec.
    #[error("there is no codec for {0}")]
    ContentType(ContentType),
    /// It holds [personal](crate::personal) data that cannot be opened: why.
    #[error("{0}")]
    Encrypted(String),
}
