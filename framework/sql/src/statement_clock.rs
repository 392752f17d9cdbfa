//! [`StatementClock`]: how long the code of a projection has not used its transaction.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time that a projection may wait for anything but the database.
pub const MAX_WAIT: Duration = Duration::from_secs(5);
/// The same time for a projection that has the connection of the driver.
///
/// Statements through that connection are not visible here.
const MAX_WAIT_FOR_DRIVER: Duration = Duration::from_secs(60);

/// How long the code of a projection has not used its transaction.
pub struct StatementClock(Mutex<ClockState>);

struct ClockState {
    is_running: bool,
    idle_since: Instant,
    max_wait: Duration,
}

/// A statement is running until it is dropped.
pub struct RunningStatement<'a>(&'a StatementClock);

impl StatementClock {
    pub fn new() -> Self {
        Self(Mutex::new(ClockState {
            is_running: false,
            idle_since: Instant::now(),
            max_wait: MAX_WAIT,
        }))
    }

    /// Starts to count again, for the next event.
    pub fn reset(&self) {
        *self.lock() = ClockState {
            is_running: false,
            idle_since: Instant::now(),
            max_wait: MAX_WAIT,
        };
    }

    pub fn start_statement(&self) -> RunningStatement<'_> {
        self.lock().is_running = true;
        RunningStatement(self)
    }

    /// Takes into account that the code has the connection of the driver.
    pub fn use_driver(&self) {
        self.lock().max_wait = MAX_WAIT_FOR_DRIVER;
    }

    /// Returns after the code has not used its transaction for too long, with that time.
    pub async fn wait_until_idle(&self) -> Duration {
        loop {
            let (until, max_wait) = {
                let state = self.lock();
                let idle_since = match state.is_running {
                    true => Instant::now(),
                    false => state.idle_since,
                };
                (idle_since + state.max_wait, state.max_wait)
            };
            if until <= Instant::now() {
                return max_wait;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, ClockState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunningStatement<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_running = false;
        state.idle_since = Instant::now();
    }
}
