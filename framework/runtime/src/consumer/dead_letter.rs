//! [`DeadLetter`]: an event that a consumer could not process.

use factum_core::document::Revision;
use factum_core::position::Position;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::record::RecordedEvent;
use serde::{Deserialize, Serialize};

/// An event that a consumer could not process, or a later event that is blocked by it.
///
/// Only its position is stored: a retry reads the event again and decodes it with the current code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The number of the build that could not process it.
    #[serde(skip)]
    pub build: u64,
    /// The position of the event.
    pub position: Position,
    /// The stream of the event. Later events of the stream are blocked.
    pub stream: StreamId,
    /// The event type.
    pub name: String,
    /// The time at which the event became a dead letter.
    pub since: Timestamp,
    /// The reason and the current state.
    pub state: DeadLetterState,
    /// The correlation keys of the event; `None` if they are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_keys: Option<Vec<String>>,
    /// Set if a retry of this event was requested.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retry_requested: bool,
}

/// The state of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeadLetterState {
    /// The event failed.
    Failed {
        /// The last error, with its causes.
        error: String,
        /// The number of attempts in total.
        attempts: u32,
    },
    /// The event was not processed, because an earlier event of its stream is a dead letter.
    Blocked,
    /// The event failed, and the consumer continued without it according to its failure policy.
    Skipped {
        /// The error, with its causes.
        error: String,
    },
    /// A user decided that the event has no effect.
    Discarded {
        /// The reason.
        reason: String,
    },
}

impl DeadLetter {
    /// Creates the dead letter of `event`.
    pub fn new(
        event: &RecordedEvent,
        correlation_keys: Option<Vec<String>>,
        state: DeadLetterState,
    ) -> Self {
        Self {
            build: 0,
            position: event.position,
            stream: event.stream.clone(),
            name: event.name.to_string(),
            since: Timestamp::now(),
            state,
            correlation_keys,
            retry_requested: false,
        }
    }

    /// Returns the dead letter without the text of its error; `None` if it has none.
    pub fn with_redacted_error(mut self) -> Option<Self> {
        use DeadLetterState::{Failed, Skipped};
        let (Failed { error, .. } | Skipped { error }) = &mut self.state else {
            return None;
        };
        let redacted = "[erased]";
        if error == redacted {
            return None;
        }
        redacted.clone_into(error);
        Some(self)
    }

    /// Returns the correlation keys of the event; `None` if they are unknown.
    pub fn correlation_keys(&self) -> Option<&[String]> {
        self.correlation_keys.as_deref()
    }

    /// Converts the dead letter into its correlation keys.
    pub fn into_correlation_keys(self) -> Option<Vec<String>> {
        self.correlation_keys
    }

    /// Returns whether a retry of this event was requested.
    pub fn is_retry_requested(&self) -> bool {
        self.retry_requested
    }

    /// Requests a retry of this event.
    #[doc(hidden)]
    pub fn request_retry(&mut self) {
        self.retry_requested = true;
    }

    /// Returns whether the dead letter can be retried or discarded.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(
            self.state,
            DeadLetterState::Failed { .. } | DeadLetterState::Blocked
        )
    }
}

/// A dead letter, and the revision of its document.
#[derive(Debug, Clone)]
pub struct StoredDeadLetter {
    /// The revision.
    pub revision: Revision,
    /// The content.
    pub letter: DeadLetter,
}
