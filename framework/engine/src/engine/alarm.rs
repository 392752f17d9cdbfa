//! [`DeadlineAlarm`]: wakes the executor of deadlines.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use factum_core::timestamp::Timestamp;
use tokio::sync::Notify;

/// Wakes the executor of deadlines when a command of this engine sets an earlier deadline.
///
/// This deadline is due before the next one that the executor knows. Deadlines that other nodes set are found by
/// polling.
#[derive(Debug)]
pub struct DeadlineAlarm {
    /// The time of the next deadline that the executor knows, in microseconds since 1970.
    next: AtomicI64,
    earlier: Notify,
}

impl DeadlineAlarm {
    /// Creates an alarm for an executor that knows no deadline.
    pub(crate) fn new() -> Self {
        Self {
            next: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
        }
    }

    /// Sets the time of the next deadline that the executor knows, or `None` if it knows none.
    pub fn expect(&self, next: Option<Timestamp>) {
        let next = next.map_or(i64::MAX, Timestamp::as_micros);
        self.next.store(next, SeqCst);
    }

    /// Wakes the executor if `due` is earlier than expected.
    pub(crate) fn notify(&self, due: Timestamp) {
        if due.as_micros() < self.next.load(SeqCst) {
            self.earlier.notify_one();
        }
    }

    /// Waits until a deadline is set that is due earlier than expected. Cancel safe.
    pub async fn earlier(&self) {
        self.earlier.notified().await;
    }
}
