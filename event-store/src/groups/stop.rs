//! [`GroupStop`]: the stop of a group, and [`StopReason`], that of a consumer.

use serde::{Deserialize, Serialize};

/// The reason why a consumer is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The server stops.
    ServerStopping,
    /// The group was deleted.
    GroupDeleted,
    /// A consumer asked for it.
    ConsumerRequest,
    /// The position of the group is beyond the head of the log.
    BeyondHead,
    /// The consumer sent no message within its session timeout.
    ConsumerSilent,
    /// The consumer does not read its messages.
    ConsumerSlow,
    /// The store failed.
    StoreFailed,
    /// The consumer ended its requests.
    ConsumerLeft,
    /// The consumer sent a request that is not valid.
    InvalidRequest,
    /// The credentials of the consumer were revoked or have expired.
    AccessRevoked,
}

/// The reason why a group is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// A consumer asked for it.
    ConsumerRequest,
    /// The position of the group is beyond the head of the log.
    BeyondHead,
}

impl From<StopCause> for StopReason {
    fn from(cause: StopCause) -> Self {
        match cause {
            StopCause::ConsumerRequest => Self::ConsumerRequest,
            StopCause::BeyondHead => Self::BeyondHead,
        }
    }
}

/// The stop of a group: it delivers nothing until a user resumes or resets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStop {
    /// The reason.
    pub cause: StopCause,
    /// The reason, for people.
    pub message: String,
    /// The position of the group when it stopped.
    pub position: u64,
}
