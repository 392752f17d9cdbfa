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
///
/// Deadlines that count from an event use the time that this clock showed when the event was stored. The store does not
/// use this clock: `recorded_at` stays the time of the system, so after an advance a new event looks older than `now`. If
/// a decision compares the two, put the time of `now` into the event; set deadlines as durations.
#[derive(Clone)]
pub struct VirtualClock {
    offsets: Arc<watch::Sender<Offsets>>,
}

/// The differences to the system clock, now and before.
#[derive(Default)]
struct Offsets {
    now: Duration,
    /// The system time of each change, and the offset after it.
    changes: Vec<(Timestamp, Duration)>,
}

impl Offsets {
    fn change(&mut self, offset: impl FnOnce(Timestamp, Duration) -> Duration) {
        let system_time = Timestamp::now();
        self.now = offset(system_time, self.now);
        self.changes.push((system_time, self.now));
    }

    fn at(&self, system_time: Timestamp) -> Duration {
        let later = self.changes.partition_point(|(at, _)| *at <= system_time);
        let last = later.checked_sub(1).and_then(|last| self.changes.get(last));
        last.map_or(Duration::ZERO, |(_, offset)| *offset)
    }
}

impl VirtualClock {
    /// Creates a clock that shows the system time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            offsets: Arc::new(watch::Sender::new(Offsets::default())),
        }
    }

    /// Advances the clock by `duration`.
    pub fn advance(&self, duration: Duration) {
        let advance = |_, offset: Duration| offset.saturating_add(duration);
        self.offsets.send_modify(|offsets| offsets.change(advance));
    }

    /// Advances the clock to `time`; does nothing if the clock is already at or after `time`.
    pub fn advance_to(&self, time: Timestamp) {
        let advance = |system_time, offset| offset + time.since(system_time + offset);
        self.offsets.send_modify(|offsets| offsets.change(advance));
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
        Timestamp::now() + self.offsets.borrow().now
    }

    fn at_system_time(&self, time: Timestamp) -> Timestamp {
        time + self.offsets.borrow().at(time)
    }

    async fn sleep_until(&self, time: Timestamp) {
        let mut offsets = self.offsets.subscribe();
        loop {
            let offset = offsets.borrow_and_update().now;
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
