//! [`VirtualClock`], a clock that a test can advance.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use factum_core::timestamp::Timestamp;
use factum_engine::clock::{Clock, SystemClock};

/// A clock that a test can advance, so that a test over thirty days takes milliseconds.
///
/// It shows the time of the system clock plus the sum of all calls of [`advance`](Self::advance) and
/// [`advance_to`](Self::advance_to). Deadlines and schedules that become due this way fire at once. The clock never
/// stops: between two calls it runs at the normal speed. Clones share one offset.
///
/// ```
/// use std::time::Duration;
/// use factum::engine::Clock as _;
/// use factum_testkit::VirtualClock;
///
/// let clock = VirtualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_hours(30 * 24));
/// assert!(clock.now().since(before) >= Duration::from_hours(30 * 24));
/// ```
#[derive(Clone)]
pub struct VirtualClock {
    offset: Arc<watch::Sender<Duration>>,
}

impl VirtualClock {
    /// Creates a clock that shows the system time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            offset: Arc::new(watch::Sender::new(Duration::ZERO)),
        }
    }

    /// Advances the clock by `duration`.
    pub fn advance(&self, duration: Duration) {
        self.offset
            .send_modify(|offset| *offset = offset.saturating_add(duration));
    }

    /// Advances the clock to `time`; does nothing if the clock is already at or after `time`.
    pub fn advance_to(&self, time: Timestamp) {
        self.offset
            .send_modify(|offset| *offset += time.since(Timestamp::now() + *offset));
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualClock")
            .field("now", &self.now())
            .finish()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + *self.offset.borrow()
    }

    async fn sleep_until(&self, time: Timestamp) {
        let mut offsets = self.offset.subscribe();
        loop {
            let offset = *offsets.borrow_and_update();
            if Timestamp::now() + offset >= time {
                return;
            }
            let remaining = time.since(Timestamp::now() + offset);
            let system_time = Timestamp::now() + remaining;
            tokio::select! {
                // `changed` cannot fail: `self` owns the sender.
                _ = offsets.changed() => {}
                () = SystemClock.sleep_until(system_time) => {}
            }
        }
    }
}
