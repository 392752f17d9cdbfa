//! [`CallAttempts`]: the repetition of calls, the pauses between them, and the error that remains.

use std::time::Duration;

use factum_store_protocol::refusal::RequestKind;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tracing::{debug, warn};

use crate::error::{ClientError, ErrorKind};

/// The number of tries of a call, and the pauses between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAttempts {
    /// The maximum number of tries, at least 1; `None` means no limit.
    pub max: Option<u32>,
    /// The pause before the second try. Each further pause is twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for CallAttempts {
    /// Returns 8 tries with pauses from 100 ms to 2 s.
    fn default() -> Self {
        Self {
            max: Some(8),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
        }
    }
}

impl CallAttempts {
    /// Returns the default pauses without a maximum number of tries.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            max: None,
            ..Self::default()
        }
    }

    /// Returns a single try.
    #[must_use]
    pub fn once() -> Self {
        Self {
            max: Some(1),
            ..Self::default()
        }
    }
}

/// The tries of one call.
pub struct Tries {
    attempts: CallAttempts,
    deadline: Option<Instant>,
    kind: RequestKind,
    has_key: bool,
    failed: u32,
    unknown: Option<ClientError>,
}

impl Tries {
    /// Starts a call that changes nothing.
    pub fn read(attempts: &CallAttempts, timeout: Option<Duration>) -> Self {
        Self {
            attempts: attempts.clone(),
            deadline: timeout.map(|timeout| Instant::now() + timeout),
            kind: RequestKind::Read,
            has_key: false,
            failed: 0,
            unknown: None,
        }
    }

    /// Starts a call that changes the store, with or without an idempotency key.
    pub fn write(attempts: &CallAttempts, timeout: Option<Duration>, has_key: bool) -> Self {
        Self {
            kind: RequestKind::Write,
            has_key,
            ..Self::read(attempts, timeout)
        }
    }

    /// Starts the count of tries again, because the server has answered.
    pub fn reset(&mut self) {
        self.failed = 0;
    }

    /// Waits for a step of the call, at most until its timeout.
    pub async fn within<T>(
        &self,
        step: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let Some(deadline) = self.deadline else {
            return step.await;
        };
        let result = timeout_at(deadline, step).await;
        result.unwrap_or_else(|_| Err(deadline_exceeded()))
    }

    /// Waits until the next try, or returns the error of the call if there is none.
    pub async fn pause_after(&mut self, status: Status) -> Result<(), ClientError> {
        let error = ClientError::of(status, self.kind);
        let is_unknown = matches!(
            error.kind(),
            ErrorKind::Interrupted | ErrorKind::DeadlineExceeded
        );
        self.failed = self.failed.saturating_add(1);
        let pause = self.pause(&error);
        let is_last = self.attempts.max.is_some_and(|max| self.failed >= max);
        let is_in_time = self
            .deadline
            .is_none_or(|deadline| Instant::now() + pause < deadline);
        if is_last || !is_in_time || !self.is_repeatable(&error) {
            // An earlier try may have been stored.
            let is_unavailable = matches!(error.kind(), ErrorKind::Unavailable);
            let unknown = self.unknown.take().filter(|_| is_unavailable);
            return Err(unknown.unwrap_or(error));
        }
        match self.failed {
            1 => warn!(%error, ?pause, "call failed, will retry"),
            _ => debug!(%error, ?pause, "call failed, will retry"),
        }
        if is_unknown && self.kind == RequestKind::Write {
            self.unknown = Some(error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn is_repeatable(&self, error: &ClientError) -> bool {
        match error.kind() {
            ErrorKind::Unavailable => true,
            ErrorKind::Interrupted => self.kind == RequestKind::Read || self.has_key,
            ErrorKind::ResourceExhausted => error.retry_after().is_some(),
            _ => false,
        }
    }

    fn pause(&self, error: &ClientError) -> Duration {
        let doublings = self.failed.saturating_sub(1).min(30);
        let longest = self.attempts.first_pause.saturating_mul(1 << doublings);
        let longest = longest.min(self.attempts.longest_pause);
        // Clients that lost the same server must not return at the same time.
        let pause = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        pause.max(error.retry_after().unwrap_or_default())
    }
}

fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the timeout of the call has passed")
}
