//! [`Waiters`]: the callers that wait for a position. While a caller waits, the consumer polls other nodes more often.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::Notify;

/// The callers that wait for a position.
#[derive(Debug, Default)]
pub struct Waiters {
    count: AtomicUsize,
    arrived: Notify,
}

/// One waiting caller, counted until it is dropped.
pub struct Waiter<'a>(&'a Waiters);

impl Waiters {
    /// Adds a waiting caller.
    pub fn add(&self) -> Waiter<'_> {
        self.count.fetch_add(1, SeqCst);
        self.arrived.notify_waiters();
        Waiter(self)
    }

    /// Returns whether a caller waits.
    pub fn any(&self) -> bool {
        self.count.load(SeqCst) > 0
    }

    /// Returns the notification of the next caller. Pin and enable it before the state is checked.
    pub fn arrived(&self) -> tokio::sync::futures::Notified<'_> {
        self.arrived.notified()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, SeqCst);
    }
}
