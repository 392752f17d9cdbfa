//! [`FailureLog`]: logs an outage once, and not each of its retries.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The minimum time between two messages about one failure.
const INTERVAL: Duration = Duration::from_secs(60);

/// Decides which of many equal failures are logged: the first one, then one per minute, and the end.
///
/// Each place logs its own message, if a method says so.
#[derive(Debug, Default)]
pub struct FailureLog(Mutex<Option<Failing>>);

/// A failure that has been logged, and that lasts.
#[derive(Debug)]
struct Failing {
    since: Instant,
    logged: Instant,
}

impl FailureLog {
    fn failing(&self) -> MutexGuard<'_, Option<Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a failure, and returns whether to log it.
    pub fn failed(&self) -> bool {
        let now = Instant::now();
        let mut failing = self.failing();
        match &mut *failing {
            Some(failing) if now.duration_since(failing.logged) < INTERVAL => false,
            Some(failing) => {
                failing.logged = now;
                true
            }
            None => {
                *failing = Some(Failing {
                    since: now,
                    logged: now,
                });
                true
            }
        }
    }

    /// Records a success, and returns the duration of the failure that it ends.
    ///
    /// Returns `None` if nothing failed before.
    pub fn recovered(&self) -> Option<Duration> {
        Some(self.failing().take()?.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failure_is_logged_once_per_minute_and_at_its_end() {
        let log = FailureLog::default();
        assert_eq!(log.recovered(), None);
        let mut logged = Vec::new();
        for second in 0..150 {
            if log.failed() {
                logged.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(logged, [0, 60, 120]);
        assert_eq!(log.recovered(), Some(Duration::from_secs(150)));
        assert_eq!(log.recovered(), None);
        assert!(log.failed());
    }
}
