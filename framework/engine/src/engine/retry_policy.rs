//! [`RetryPolicy`]: the number of attempts of a command, and the delays between them.

use std::time::Duration;

use factum_core::random::random_unit;

/// The number of attempts of a command, and the delays between them.
///
/// A command is retried after a conflict, or while the store is unavailable. After a store failure, it is retried only
/// if it cannot be executed twice: the store reports that it did nothing, or the command has an idempotency key. These
/// retries end after `attempts · cap`.
///
/// The delay after attempt n is random between zero and `base · 2ⁿ⁻¹`, at most `cap` ("full jitter": Marc Brooker,
/// *Exponential Backoff And Jitter*, 2015), so that writers on several nodes do not keep conflicting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The maximum number of attempts, at least 1.
    pub attempts: u32,
    /// The maximum delay after the first attempt, at most `cap`.
    pub base: Duration,
    /// The maximum delay after any attempt, at most one day.
    pub cap: Duration,
}

impl RetryPolicy {
    /// Reports a conflict, or that the store is unavailable, without a retry.
    pub const NEVER: Self = Self {
        attempts: 1,
        base: Duration::ZERO,
        cap: Duration::ZERO,
    };

    /// The maximum of [`base`](Self::base) and [`cap`](Self::cap), one day.
    pub const MAX_DELAY: Duration = Duration::from_hours(24);

    /// Checks that a builder can use the policy.
    ///
    /// # Errors
    /// Returns the rule that the policy violates, with the value.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            attempts,
            base,
            cap,
        } = self;
        if *attempts == 0 {
            return Err("invalid `attempts` of a retry policy: 0; expected at least 1".to_owned());
        }
        if *cap > Self::MAX_DELAY {
            let limit = Self::MAX_DELAY;
            return Err(format!(
                "invalid `cap` of a retry policy: {cap:?}; expected at most {limit:?}"
            ));
        }
        if base > cap {
            return Err(format!(
                "invalid `base` of a retry policy: {base:?}; expected at most its `cap`, {cap:?}"
            ));
        }
        Ok(())
    }

    /// Returns for how long an unavailable store is retried.
    pub(crate) fn max_outage(&self) -> Duration {
        self.cap.saturating_mul(self.attempts)
    }

    /// Returns a random delay after attempt number `attempt`, counted from 1.
    #[must_use]
    pub fn pause(&self, attempt: u32) -> Duration {
        let longest = self
            .base
            .saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
        longest.min(self.cap).mul_f64(random_unit())
    }
}

impl Default for RetryPolicy {
    /// Returns a policy of 10 attempts with delays from 2 milliseconds up to half a second.
    fn default() -> Self {
        Self {
            attempts: 10,
            base: Duration::from_millis(2),
            cap: Duration::from_millis(500),
        }
    }
}
