//! [`Known`]: what a [`Dispatcher`] keeps in mind, above all what it leaves alone for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::dispatcher::{Dispatcher, Owner};
use super::passing::Taken;
use factum_engine::process::instance::Due;

/// What a dispatcher keeps in mind from one look to the next.
#[derive(Debug, Default)]
pub struct Known {
    failing: Mutex<HashMap<String, Failing>>,
    /// Something stood among what is due that was not.
    pub stale: AtomicBool,
    /// How often another program was faster, one time after the other.
    pub late: AtomicU32,
    pub taken: Mutex<Taken>,
    /// How much was parked when it was told last.
    pub parked: AtomicUsize,
}

/// What has failed lately.
#[derive(Debug, Clone)]
pub struct Failing {
    pub number: u64,
    pub attempts: u32,
    /// Pauses taken, those included behind which the store was not there.
    pub pauses: u32,
    pub until: Instant,
}

impl Known {
    fn failing(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatcher {
    /// For how long an instance is left alone behind a failure.
    pub fn resting(&self, due: &Due) -> Option<Duration> {
        if !self.logic.knows(due) {
            return Some(self.beat);
        }
        let failing = self.known.failing();
        let rest = failing
            .get(&due.id)?
            .until
            .checked_duration_since(Instant::now())?;
        (!rest.is_zero()).then_some(rest)
    }

    /// How often the work `number` has failed before.
    pub fn failed_before(&self, id: &str, number: u64) -> Failing {
        let failing = self.known.failing();
        let known = failing.get(id).filter(|known| known.number == number);
        known.cloned().unwrap_or(Failing {
            number,
            attempts: 0,
            pauses: 0,
            until: Instant::now(),
        })
    }

    /// Leaves the instance alone for a while.
    pub fn pause(&self, id: &str, mut failing: Failing) {
        failing.pauses += 1;
        failing.until = Instant::now() + self.retry.pause(failing.pauses);
        let mut known = self.known.failing();
        known.insert(id.to_owned(), failing);
    }

    /// Leaves the instance alone until others may have changed something.
    pub fn leave(&self, id: &str, number: u64) {
        let mut failing = self.failed_before(id, number);
        failing.until = Instant::now() + self.beat;
        let mut known = self.known.failing();
        known.insert(id.to_owned(), failing);
    }

    /// The same, since newer code knows how to do it: other instances of the program may have that.
    pub fn leave_to_newer(&self, (id, number): (&str, u64), error: &str) {
        warn!(instance = id, error, "left to newer code");
        self.leave(id, number);
        if let Owner::OfEvents { lease, instances } = &self.owner {
            instances.offer(lease, error);
        }
    }

    /// For how long what is due is left to another program that was faster: a little, and more when it is so again. If
    /// that ends meanwhile, this one goes on.
    pub fn stand_back(&self) -> Duration {
        let late = self.known.late.fetch_add(1, Relaxed);
        (self.beat / 8 * 2_u32.pow(late.min(3))).min(self.beat)
    }

    pub fn forget_failures(&self) {
        let mut known = self.known.failing();
        known.clear();
    }

    pub fn works_again(&self, id: &str) {
        let mut known = self.known.failing();
        known.remove(id);
    }
}
