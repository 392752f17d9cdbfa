//! [`Signals`]: notifications between the tasks of one process manager.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::{Notify, futures::Notified, watch};

/// Notifications between the tasks of one process manager.
#[derive(Debug, Default)]
pub struct Signals {
    initialized: AtomicBool,
    work_added: Notify,
    progress: watch::Sender<u64>,
}

impl Signals {
    /// Records that schedules have set their first deadlines.
    pub fn set_initialized(&self) {
        self.initialized.store(true, Relaxed);
        self.record_progress();
    }

    /// Returns whether schedules have set their first deadlines.
    pub fn is_initialized(&self) -> bool {
        self.initialized.load(Relaxed)
    }

    /// Wakes the dispatcher, because work may be due.
    pub fn wake(&self) {
        self.work_added.notify_one();
    }

    /// Waits until work may be due.
    pub fn woken(&self) -> Notified<'_> {
        self.work_added.notified()
    }

    /// Records that work was done or has failed permanently.
    pub fn record_progress(&self) {
        self.progress
            .send_modify(|progress| *progress = progress.wrapping_add(1));
    }

    /// Returns a receiver of progress.
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }
}
