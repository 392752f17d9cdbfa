//! [`VirtualClock`]: a clock that a test sets forward.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use factum_core::timestamp::Timestamp;
use factum_engine::clock::{Clock, SystemClock};

/// A clock that a test sets forward: it goes as the machine's clock does, and ahead of it by all that it was
/// [advanced](Self::advance). What is due meanwhile is due at once, so that a test of thirty days takes milliseconds.
///
/// It never stands still, so that what a store recorded before the clock was advanced by thirty days is thirty days old
/// then. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use factum::clock::Clock as _;
/// use factum_testkit::VirtualClock;
///
/// let clock = VirtualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_hours(30 * 24));
/// assert!(clock.now().since(before) >= Duration::from_hours(30 * 24));
/// ```
#[derive(Clone)]
pub struct VirtualClock {
    ahead: Arc<watch::Sender<Duration>>,
}

impl VirtualClock {
    /// A clock that is not ahead yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ahead: Arc::new(watch::Sender::new(Duration::ZERO)),
        }
    }

    /// Sets it forward by `duration`.
    pub fn advance(&self, duration: Duration) {
        self.ahead
            .send_modify(|ahead| *ahead = ahead.saturating_add(duration));
    }

    /// Sets it forward to `time`, unless it is later already.
    pub fn advance_to(&self, time: Timestamp) {
        self.ahead
            .send_modify(|ahead| *ahead += time.since(Timestamp::now() + *ahead));
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

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + *self.ahead.borrow()
    }

    async fn sleep_until(&self, time: Timestamp) {
        let mut ahead = self.ahead.subscribe();
        loop {
            let shift = *ahead.borrow_and_update();
            if Timestamp::now() + shift >= time {
                return;
            }
            let rest = time.since(Timestamp::now() + shift);
            let real = Timestamp::now() + rest;
            tokio::select! {
                // The sender lives as long as `self`.
                _ = ahead.changed() => {}
                () = SystemClock.sleep_until(real) => {}
            }
        }
    }
}
