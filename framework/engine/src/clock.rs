//! [`Clock`]: the time, and waiting for a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use factum_core::timestamp::Timestamp;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

/// The maximum duration of one sleep, because the system clock may be set in the meantime.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// The source of time for deadlines and schedules.
///
/// Use [`SystemClock`] in a program, and the virtual clock of the test kit in a test. Implement `sleep_until` with
/// `async fn`.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Returns the time that this clock showed when the system clock showed `time`.
    ///
    /// Stores record the system time with each event. The framework converts it with this function, so that a deadline
    /// counts from the event by this clock. The default returns `time`.
    fn at_system_time(&self, time: Timestamp) -> Timestamp {
        time
    }

    /// Waits until it is `time` or later.
    ///
    /// The future can be dropped at any time.
    fn sleep_until(&self, time: Timestamp) -> impl Future<Output = ()> + Send;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

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

/// A clock of any type. Clones share one clock.
#[derive(Clone)]
pub struct SharedClock(Arc<dyn BoxedClock>);

impl SharedClock {
    /// Shares `clock`.
    pub fn new(clock: impl Clock) -> Self {
        Self(Arc::new(clock))
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.boxed_now()
    }

    /// See [`Clock::at_system_time`].
    ///
    /// A time in the future counts as now: the clock of the node that recorded it was wrong. Recorded times never
    /// decrease, so all later events have such a time, too, and their deadlines must not wait for it.
    fn at_system_time(&self, time: Timestamp) -> Timestamp {
        self.0.boxed_at_system_time(time.min(Timestamp::now()))
    }

    fn sleep_until(&self, time: Timestamp) -> impl Future<Output = ()> + Send {
        self.0.boxed_sleep_until(time)
    }
}

impl fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedClock")
    }
}

/// The object-safe twin of [`Clock`].
trait BoxedClock: Send + Sync {
    fn boxed_now(&self) -> Timestamp;
    fn boxed_at_system_time(&self, time: Timestamp) -> Timestamp;
    fn boxed_sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()>;
}

impl<C: Clock> BoxedClock for C {
    fn boxed_now(&self) -> Timestamp {
        self.now()
    }

    fn boxed_at_system_time(&self, time: Timestamp) -> Timestamp {
        self.at_system_time(time)
    }

    fn boxed_sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        self.sleep_until(time).boxed()
    }
}
