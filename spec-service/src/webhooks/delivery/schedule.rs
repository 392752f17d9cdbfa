//! [`RetrySchedule`]: the times of the attempts of a delivery.

use std::time::Duration;

/// The longest time over which a delivery is repeated: three days.
pub const MAX_RETRY_TIME: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The times of the attempts of a delivery.
///
/// The pauses double from one attempt to the next. A random part spreads the attempts after an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySchedule {
    /// The pause after the first attempt.
    pub first_pause: Duration,
    /// The time over which a delivery is repeated. The last attempt is at its end.
    pub retry_time: Duration,
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(5),
            retry_time: MAX_RETRY_TIME,
        }
    }
}

impl RetrySchedule {
    /// Returns the pause after a failed attempt, or `None` if it was the last one.
    ///
    /// `attempt` is its number, from 1, and `failing` the time since the first attempt failed. `random` is from 0 to 1:
    /// the pause is between half of the doubled pause and all of it. The receiver can `ask` for a longer pause.
    #[must_use]
    pub fn pause(
        &self,
        attempt: u32,
        failing: Duration,
        random: f64,
        ask: Option<Duration>,
    ) -> Option<Duration> {
        let left = self.retry_time.saturating_sub(failing);
        if left.is_zero() {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(31));
        let doubled = self.first_pause.saturating_mul(doubled).min(MAX_PAUSE);
        let pause = doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        let asked = ask.unwrap_or_default().min(MAX_PAUSE);
        Some(pause.max(asked).min(left))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RetrySchedule;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn attempts_double_their_pauses_over_three_days() {
        let schedule = RetrySchedule::default();
        let (mut failing, mut pauses) = (Duration::ZERO, Vec::new());
        while let Some(pause) = schedule.pause(pauses.len() as u32 + 1, failing, 1.0, None) {
            failing += pause;
            pauses.push(pause);
        }
        assert_eq!(failing, 72 * HOUR);
        let seconds: Vec<u64> = pauses.iter().take(11).map(Duration::as_secs).collect();
        assert_eq!(
            seconds,
            [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600]
        );
        assert_eq!(pauses.len(), 81);
    }

    #[test]
    fn pause_is_random_and_at_least_as_long_as_asked() {
        let schedule = RetrySchedule::default();
        let pause = |attempt, random, ask| schedule.pause(attempt, Duration::ZERO, random, ask);
        assert_eq!(pause(1, 0.0, None), Some(Duration::from_millis(2_500)));
        assert_eq!(pause(u32::MAX, 0.0, None), Some(HOUR / 2));
        assert_eq!(pause(1, 0.0, Some(HOUR / 4)), Some(HOUR / 4));
        assert_eq!(pause(1, 0.0, Some(24 * HOUR)), Some(HOUR));
        assert_eq!(schedule.pause(1, 72 * HOUR, 0.0, Some(HOUR)), None);
        let almost = 72 * HOUR - Duration::from_secs(1);
        assert_eq!(
            schedule.pause(9, almost, 1.0, Some(HOUR)),
            Some(Duration::from_secs(1))
        );
    }
}
