//! How often and after what pause a command that met a conflict, or no store, is tried again.

use std::time::Duration;

use factum_core::random::random_unit;

/// How often, and after what pause, a command is decided again after a conflict, or tried again because the
/// store was not there.
///
/// The latter only where it cannot happen twice: with an idempotency key, or if the store says that nothing was
/// done; and not beyond `attempts · cap` since the command came in.
///
/// The pause before attempt n + 1 is chosen evenly between zero and `base · 2ⁿ⁻¹`, at most `cap` ("full
/// jitter": Marc Brooker, *Exponential Backoff And Jitter*, 2015), so that writers in several processes
/// do not keep meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a command is decided in all, at least once.
    pub attempts: u32,
    /// The longest pause behind the first attempt.
    pub base: Duration,
    /// The longest pause of all.
    pub cap: Duration,
}

impl RetryPolicy {
    /// A conflict is reported at once, and so is a store that is not there.
    pub const NEVER: Self = Self {
        attempts: 1,
        base: Duration::ZERO,
        cap: Duration::ZERO,
    };

    /// For how long a store that is not there is asked again.
    pub fn patience(&self) -> Duration {
        self.cap.saturating_mul(self.attempts)
    }

    /// The pause behind attempt number `attempt`, counted from 1.
    pub fn pause(&self, attempt: u32) -> Duration {
        let longest = self
            .base
            .saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
        longest.min(self.cap).mul_f64(random_unit())
    }
}

impl Default for RetryPolicy {
    /// 10 attempts, pauses from 2 milliseconds up to half a second.
    fn default() -> Self {
        Self {
            attempts: 10,
            base: Duration::from_millis(2),
            cap: Duration::from_millis(500),
        }
    }
}
