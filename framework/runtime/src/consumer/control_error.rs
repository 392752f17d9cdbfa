//! [`ControlError`] and [`WaitError`]: the errors of a consumer's handle.

use factum_core::position::Position;
use factum_engine::error::StoreError;

/// A request to a consumer failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The runtime has no consumer of this name.
    #[error("no {kind} {name:?}; the runtime has {known:?}: add it to `Runtime::builder`")]
    Unknown {
        /// The requested kind: `projection`, `process manager`, `event handler` or `consumer`.
        kind: &'static str,
        /// The requested name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// No dead letter is waiting at this position.
    #[error(
        "no dead letter of {name:?} is waiting at position {position}; `dead_letters` lists those that are"
    )]
    NotDeadLettered {
        /// The name of the consumer.
        name: String,
        /// The position.
        position: Position,
    },
    /// The failed delivery does not exist any more.
    #[error(
        "no failed delivery {number} of instance {instance:?}; `failed_deliveries` lists those that exist"
    )]
    NotFailed {
        /// The process instance.
        instance: String,
        /// The number of the delivery.
        number: u64,
    },
    /// This runtime runs the schedule, so that it cannot be deleted.
    #[error("schedule {name:?} runs in this runtime; remove it from the builder first")]
    ScheduleInUse {
        /// The name of the schedule.
        name: String,
    },
    /// The consumer did not reach the requested state.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A consumer does not reach the state that a caller waits for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The consumer has stopped after a failure.
    #[error(
        "consumer {name:?} stopped at position {position}: {error}; fix the cause and call `resume`"
    )]
    Stopped {
        /// The name of the consumer.
        name: String,
        /// Its checkpoint.
        position: Position,
        /// The error, with its causes.
        error: String,
    },
    /// The new build of the consumer is not promoted.
    #[error("promotion of {name:?} is blocked at position {position}: {reason}")]
    PromotionBlocked {
        /// The name of the consumer.
        name: String,
        /// The checkpoint of the active build.
        position: Position,
        /// The reason, and the call that helps.
        reason: String,
    },
    /// The log does not have the position.
    ///
    /// For example, it was restored from a backup since the position was returned.
    #[error(
        "consumer {name:?} cannot reach position {position}: the head of the log is {head}; \
         wait for a position of a stored event"
    )]
    BeyondHead {
        /// The name of the consumer.
        name: String,
        /// The position.
        position: Position,
        /// The position of the newest event.
        head: Position,
    },
    /// The runtime was stopped, or the store was closed.
    #[error(
        "consumer {name:?} is not running any more; its checkpoint is at position {position}, where the next runtime continues"
    )]
    ShutDown {
        /// The name of the consumer.
        name: String,
        /// Its checkpoint.
        position: Position,
    },
}
