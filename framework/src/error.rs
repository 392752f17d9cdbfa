//! What goes wrong where events are kept, and where their stored forms are written and read.

use std::any::Any;

use crate::position::{Position, Version};
use crate::record::{ContentType, RecordedEvent};
use crate::stream::StreamId;
use crate::upcast::UpcastError;

pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

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
    pub fault: DecodeErrorKind,
}

impl DecodeError {
    /// No event type that is wanted has the name of `record`.
    #[must_use]
    pub fn unknown(record: &RecordedEvent) -> Self {
        Self::new(record, DecodeErrorKind::UnknownName)
    }

    pub(crate) fn new(record: &RecordedEvent, fault: DecodeErrorKind) -> Self {
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
    /// It stands for none or several events of today, where one is asked for.
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
    /// The data are in a form for which there is no codec.
    #[error("there is no codec for {0}")]
    ContentType(ContentType),
    /// It holds [personal](crate::personal) data that cannot be opened: why.
    #[error("{0}")]
    Sealed(String),
}

/// What a panic of a user's code says.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panic_message: {}", text.unwrap_or("without a text"))
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    for cause in causes.map(ToString::to_string) {
        // Some errors repeat their cause.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
