//! [`Batch`]: events for one build of a consumer, and the errors of processing them.

use std::error::Error;
use std::fmt;

use factum_core::document::{DocumentChanges, DocumentError, DocumentStore, Revision};
use factum_core::position::Position;
use factum_engine::error::{BoxError, DecodeError, DecodeErrorKind, Outage, StoreError};
use factum_engine::record::RecordedEvent;

/// Events for one build, and the document changes that take effect with them.
#[derive(Clone)]
pub struct Batch<'a> {
    /// The number of the build.
    pub build: u64,
    /// The events, in the order of their positions.
    pub events: &'a [RecordedEvent],
    /// The position of the first dead letter with unknown [correlation keys].
    ///
    /// A later event may depend on this dead letter.
    ///
    /// [correlation keys]: super::Consumer::correlation_keys
    pub unknown_dead_letter: Option<Position>,
    /// The changes of the checkpoint and of dead letters.
    ///
    /// The changes fail if another node has taken over the partition.
    pub changes: DocumentChanges,
    /// The store of these documents.
    pub documents: &'a dyn DocumentStore,
}

impl Batch<'_> {
    /// Makes the document changes alone, and returns their revision.
    ///
    /// # Errors
    /// Returns [`BatchError::LeaseLost`] if another node has taken over, or [`BatchError::Store`].
    pub async fn commit(self) -> Result<Revision, BatchError> {
        Ok(self.documents.change_documents(self.changes).await?)
    }
}

/// A batch was not processed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// One event failed; the others were not processed either.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Another node has taken over the partition.
    #[error("another node has taken over the partition, and continues it")]
    LeaseLost,
    /// The read model cannot be created or dropped.
    #[error("the read model cannot be prepared")]
    ReadModel(#[source] BoxError),
    /// The code of the consumer panicked, with this message.
    #[error("{0}")]
    Panicked(String),
    /// The store failed, independent of the events.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The read model may contain a part of an event's effects.
    #[error("the read model may be inconsistent: {reason}; rebuild it")]
    Inconsistent {
        /// The reason, for example the message of a panic.
        reason: String,
    },
}

/// One event could not be processed.
#[derive(Debug)]
pub struct EventError {
    /// The position of the event.
    pub position: Position,
    /// The reason, whose text is the text of this error.
    pub error: ConsumerError,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for EventError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl EventError {
    /// Creates the error of the event at `position`.
    #[must_use]
    pub fn new(position: Position, error: impl Into<ConsumerError>) -> Self {
        Self {
            position,
            error: error.into(),
        }
    }

    /// Creates the error of an event for which the code of the consumer failed.
    #[must_use]
    pub fn handler(position: Position, error: impl Into<BoxError>) -> Self {
        Self::new(position, ConsumerError::Handler(error.into()))
    }
}

/// The reason why an event could not be processed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The event cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The event depends on a dead letter, and waits until it is retried or discarded.
    #[error(
        "the event depends on an earlier event in the dead-letter queue; retry or discard that one"
    )]
    Blocked,
    /// The state that the event changes was stored by newer code.
    #[error(
        "the state of {name} {id:?} has version {version}; this code knows versions up to {known}: update the program"
    )]
    NewerSchema {
        /// The name of the process manager.
        name: &'static str,
        /// The id of the process instance.
        id: String,
        /// The stored version.
        version: u32,
        /// The newest version that this code knows.
        known: u32,
    },
    /// The code of the consumer failed or panicked.
    #[error(transparent)]
    Handler(BoxError),
}

impl ConsumerError {
    /// Returns whether newer code is needed.
    #[must_use]
    pub fn is_newer_schema(&self) -> bool {
        match self {
            Self::Decode(error) => matches!(error.kind, DecodeErrorKind::NewerVersion { .. }),
            Self::NewerSchema { .. } => true,
            _ => false,
        }
    }

    /// Returns whether the event only waits for a dead letter.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        matches!(self, Self::Blocked)
    }
}

impl From<DecodeError> for BatchError {
    fn from(error: DecodeError) -> Self {
        Self::Event(EventError::new(error.position, error))
    }
}

impl From<DocumentError> for BatchError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::RevisionConflict { .. } => Self::LeaseLost,
            error => Self::Store(error.into_store_error()),
        }
    }
}

impl BatchError {
    /// Converts the failure of an event into a failure of the store, if the cause is an outage.
    ///
    /// Only errors of the event and of the code count towards a failure policy.
    #[must_use]
    pub fn with_outage(self) -> Self {
        match self {
            Self::Event(EventError {
                error: ConsumerError::Handler(error),
                ..
            }) if Outage::is_in(&*error) => StoreError::Unavailable(error.into()).into(),
            error => error,
        }
    }

    /// Returns whether the store is temporarily unavailable.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        Outage::is_in(self)
    }
}
