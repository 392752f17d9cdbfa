//! [`Clock`]: what time it is, and how to wait for another one.

use std::time::Duration;

use async_trait::async_trait;

use factum_core::timestamp::Timestamp;

/// The longest sleep at a time: a machine's clock may be set meanwhile.
const LONGEST: Duration = Duration::from_secs(30);

/// What time it is, for what is due at a time. [`SystemClock`] in a program,
/// `factum_testkit::VirtualClock` in a test.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Returns once it is `time` or later. Cancel safe.
    async fn sleep_until(&self, time: Timestamp);
}

/// The clock of this machine.
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
            tokio::time::sleep(time.since(now).min(LONGEST)).await;
        }
    }
}
