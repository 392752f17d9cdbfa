//! [`EventFailure`]: an event that a consumer could not process, and [`FailureLimits`], which decide what happens to it.

use super::window::Millis;

/// The consequence that a consumer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Deliver the event again, after this pause or that of the group.
    Retry(Option<Millis>),
    /// Make the event a dead letter.
    DeadLetter,
}

/// An event that a consumer could not process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFailure {
    /// The consequence.
    pub consequence: Consequence,
    /// The reason, for people.
    pub reason: String,
}

/// The consequence for an event that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is delivered again after a pause.
    RetryAfter(Millis),
    /// It becomes a dead letter.
    DeadLetter,
}

/// The limits of a group for events that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimits {
    /// The number of failed attempts after which an event becomes a dead letter.
    pub max_attempts: u32,
    /// The pause before the second attempt. Each further pause is twice as long.
    pub min_backoff: Millis,
    /// The longest pause.
    pub max_backoff: Millis,
    /// Set if the partition has the maximum number of dead letters. Events are then retried instead.
    pub is_full: bool,
}

impl EventFailure {
    /// Creates a failure after which the event is delivered again.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self {
            consequence: Consequence::Retry(None),
            reason: reason.into(),
        }
    }

    /// Creates a failure after which the event is a dead letter.
    pub fn dead_letter(reason: impl Into<String>) -> Self {
        Self {
            consequence: Consequence::DeadLetter,
            reason: reason.into(),
        }
    }
}

impl FailureLimits {
    /// Decides what happens to an event after `attempts` failed attempts.
    pub fn verdict(&self, failure: &EventFailure, attempts: u32) -> Verdict {
        match failure.consequence {
            Consequence::Retry(pause) if attempts < self.max_attempts => {
                Verdict::RetryAfter(pause.unwrap_or_else(|| self.backoff(attempts)))
            }
            _ if self.is_full => Verdict::RetryAfter(self.max_backoff),
            _ => Verdict::DeadLetter,
        }
    }

    fn backoff(&self, attempts: u32) -> Millis {
        let doublings = attempts.saturating_sub(1).min(63);
        let pause = self.min_backoff.saturating_mul(1_u64 << doublings);
        pause.min(self.max_backoff)
    }
}
