//! [`Clock`]: the time, and waiting for a time.

use std::time::Duration;

use async_trait::async_trait;
use factum_core::timestamp::Timestamp;

/// The maximum duration of one sleep, because the system clock may be set in the meantime.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// The source of time for deadlines and schedules.
///
/// Use [`SystemClock`] in a program, and the virtual clock of the test kit in a test.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Waits until it is `time` or later. Cancel safe.
    async fn sleep_until(&self, time: Timestamp);
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, time: Timestamp) {
        loop {
            let now = self.now();
            if now >= time {
                return;
            }
            tokio::time::sleep(time.since(now).min(MAX_SLEEP)).await;
        }
    }
}
