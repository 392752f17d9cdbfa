//! [`Waiting`]: who waits lets everybody look more often how far others have come.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::{GLANCE, Shared};

impl Shared {
    /// How long to look away from a partition that another instance works on.
    pub fn glance(&self) -> Duration {
        if self.waiting.load(SeqCst) > 0 {
            GLANCE
        } else {
            self.instances.beat()
        }
    }
}

/// Counts one who waits, as long as it lives.
pub struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    pub fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, SeqCst);
        shared.wanted.notify_waiters();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}
