//! [`FailurePolicy`]: the policy for events that a consumer cannot process.
//!
//! [`BatchApplier`](super::batch_applier::BatchApplier) carries it out.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use factum_engine::engine::RetryPolicy;
use factum_engine::error::panic_message;
use factum_engine::record::RecordedEvent;
use tracing::warn;

use super::batch::ConsumerError;

/// The policy for events that a consumer cannot process.
///
/// The three fixed policies apply after the attempts of the runtime's [`RetryPolicy`]. A [custom](Self::custom) policy
/// decides after each attempt, by the error and the number of the attempt.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The event becomes a [dead letter](super::DeadLetter), and later events of its stream are blocked.
    ///
    /// Other streams continue.
    #[default]
    DeadLetter,
    /// The consumer stops before the event. Nothing is skipped.
    Stop,
    /// The consumer continues without the event and records it among its dead letters.
    Skip,
    /// A function of the application decides.
    Custom(Arc<dyn Fn(&Failure<'_>) -> FailureAction + Send + Sync>),
}

/// A failed attempt to process an event.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// The event.
    pub event: &'a RecordedEvent,
    /// The error.
    pub error: &'a ConsumerError,
    /// The number of attempts so far, at least 1.
    pub attempt: u32,
}

/// The action after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureAction {
    /// Processes the event again after this pause.
    RetryAfter(Duration),
    /// Moves the event to the dead-letter queue.
    DeadLetter,
    /// Continues without the event.
    Skip,
    /// Stops the consumer before the event.
    Stop,
}

impl FailurePolicy {
    /// Creates a policy that decides by error and attempt.
    ///
    /// If the function panics, the event becomes a dead letter.
    ///
    /// ```
    /// use std::time::Duration;
    /// use factum::runtime::{ConsumerError, FailureAction, FailurePolicy};
    ///
    /// let policy = FailurePolicy::custom(|failure| match failure.error {
    ///     ConsumerError::Handler(_) if failure.attempt < 5 => FailureAction::RetryAfter(Duration::from_secs(1)),
    ///     ConsumerError::Handler(_) => FailureAction::Stop,
    ///     _ => FailureAction::DeadLetter,
    /// });
    /// ```
    pub fn custom(decide: impl Fn(&Failure<'_>) -> FailureAction + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(decide))
    }

    /// Returns the action after a failed attempt.
    pub fn decide(&self, failure: &Failure<'_>, retry: &RetryPolicy) -> FailureAction {
        if let Self::Custom(decide) = self {
            let decided = catch_unwind(AssertUnwindSafe(|| decide(failure)));
            return decided.unwrap_or_else(|panic| {
                let error = panic_message(&*panic);
                warn!(
                    error,
                    "failure policy failed; the event becomes a dead letter"
                );
                FailureAction::DeadLetter
            });
        }
        if failure.attempt < retry.attempts {
            return FailureAction::RetryAfter(retry.pause(failure.attempt));
        }
        match self {
            Self::Stop => FailureAction::Stop,
            Self::Skip => FailureAction::Skip,
            Self::DeadLetter | Self::Custom(_) => FailureAction::DeadLetter,
        }
    }
}

impl fmt::Debug for FailurePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadLetter => "DeadLetter",
            Self::Stop => "Stop",
            Self::Skip => "Skip",
            Self::Custom(_) => "Custom",
        })
    }
}
