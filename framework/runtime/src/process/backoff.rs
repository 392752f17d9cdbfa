//! [`Backoff`]: process instances that are not retried for a while after a failure.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factum_engine::engine::RetryPolicy;
use tokio::time::Instant;

use crate::failure_log::FailureLog;

/// The number that represents a failure of the instance as a whole.
pub const WHOLE_INSTANCE: u64 = u64::MAX;

/// Process instances that are not retried for a while after a failure.
#[derive(Debug)]
pub struct Backoff {
    retry: RetryPolicy,
    failures: Mutex<HashMap<String, InstanceFailure>>,
}

/// The recent failures of a work item of an instance.
#[derive(Debug)]
struct InstanceFailure {
    /// The number of the work item.
    number: u64,
    /// The number of failed attempts.
    attempts: u32,
    /// The number of pauses, including those after the store was unavailable.
    pauses: u32,
    until: Instant,
    log: FailureLog,
}

impl InstanceFailure {
    fn new(number: u64) -> Self {
        Self {
            number,
            attempts: 0,
            pauses: 0,
            until: Instant::now(),
            log: FailureLog::default(),
        }
    }
}

impl Backoff {
    /// Creates an empty backoff with these pauses.
    pub fn new(retry: RetryPolicy) -> Self {
        Self {
            retry,
            failures: Mutex::default(),
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<String, InstanceFailure>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<T>(
        &self,
        id: &str,
        number: u64,
        update: impl FnOnce(&mut InstanceFailure) -> T,
    ) -> T {
        let mut failures = self.failures();
        let failure = failures
            .entry(id.to_owned())
            .or_insert_with(|| InstanceFailure::new(number));
        if failure.number != number {
            *failure = InstanceFailure::new(number);
        }
        update(failure)
    }

    /// Returns the time until the instance is retried; `None` if it is not paused.
    pub fn remaining(&self, id: &str) -> Option<Duration> {
        let failures = self.failures();
        let until = failures.get(id)?.until;
        let remaining = until.checked_duration_since(Instant::now())?;
        (!remaining.is_zero()).then_some(remaining)
    }

    /// Records a failed attempt, and returns the number of failed attempts of the work item.
    pub fn record_attempt(&self, id: &str, number: u64) -> u32 {
        self.update(id, number, |failure| {
            failure.attempts += 1;
            failure.attempts
        })
    }

    /// Pauses the instance, each time for longer.
    pub fn pause(&self, id: &str, number: u64) {
        self.update(id, number, |failure| {
            failure.pauses += 1;
            failure.until = Instant::now() + self.retry.pause(failure.pauses);
        });
    }

    /// Pauses the instance for `duration`.
    pub fn pause_for(&self, id: &str, number: u64, duration: Duration) {
        self.update(id, number, |failure| {
            failure.until = Instant::now() + duration;
        });
    }

    /// Returns whether the failure of a work item must be logged.
    ///
    /// That of an earlier attempt may have been logged.
    pub fn must_log(&self, id: &str, number: u64) -> bool {
        self.update(id, number, |failure| failure.log.failed())
    }

    /// Removes the failures of the instance.
    pub fn remove(&self, id: &str) {
        self.failures().remove(id);
    }

    /// Removes all failures.
    pub fn clear(&self) {
        self.failures().clear();
    }

    /// Returns the maximum number of attempts.
    pub fn max_attempts(&self) -> u32 {
        self.retry.attempts
    }
}
