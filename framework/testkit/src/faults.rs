//! [`Faults`], the kinds and rates of injected faults.

use std::time::Duration;

#[cfg(doc)]
use factum_engine::error::StoreError;

/// The faults that a [`Faulty`](super::Faulty) store injects, each with its rate.
///
/// A rate is a probability from 0 to 1. An append gets at most one of the first six faults. They are tried in the
/// order of the fields, so rates beyond a sum of 1 have no effect.
///
/// ```
/// use factum_testkit::Faults;
///
/// let lost_answers = Faults { unanswered: 0.5, ..Faults::NONE };
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// An append does not reach the inner store and fails with [`StoreError::Unavailable`].
    pub rejected: f64,
    /// The inner store rolls an append back; the call fails with [`StoreError::Unavailable`].
    pub rolled_back: f64,
    /// An append is lost before the inner store; the call fails with [`StoreError::Interrupted`].
    pub unsent: f64,
    /// An append is stored but its response is lost; the call fails with [`StoreError::Interrupted`].
    pub unanswered: f64,
    /// The future of an append is dropped early; the call fails with [`StoreError::Interrupted`].
    ///
    /// The inner store may still store the append as a whole, at once or later, or not at all.
    pub dropped: f64,
    /// An append with an idempotency key is sent twice, at once or later; either response is returned.
    pub twice: f64,
    /// A read, a key lookup or a snapshot call fails.
    ///
    /// The error is [`StoreError::Unavailable`] or [`StoreError::Interrupted`]. A snapshot may have been saved even
    /// though the call fails.
    pub reads: f64,
    /// A call pauses before it reaches the inner store and, independently, after it.
    pub pauses: f64,
    /// A watcher is woken late and, independently, without a reason; no wake-up is lost.
    pub wakes: f64,
    /// The longest pause; some pauses only yield to other tasks.
    pub longest_pause: Duration,
}

impl Faults {
    /// Injects nothing.
    pub const NONE: Self = Self {
        rejected: 0.0,
        rolled_back: 0.0,
        unsent: 0.0,
        unanswered: 0.0,
        dropped: 0.0,
        twice: 0.0,
        reads: 0.0,
        pauses: 0.0,
        wakes: 0.0,
        longest_pause: Duration::ZERO,
    };

    /// Injects delayed calls and wake-ups but no errors, so that the conformance suite still passes.
    pub const DELAYS: Self = Self {
        pauses: 0.2,
        wakes: 0.3,
        longest_pause: Duration::from_millis(3),
        ..Self::NONE
    };

    /// Returns the fault for a random number from 0 to 1.
    pub(super) fn pick(&self, random: f64) -> InjectedFault {
        let rates = [
            (self.rejected, InjectedFault::Rejected),
            (self.rolled_back, InjectedFault::RolledBack),
            (self.unsent, InjectedFault::Unsent),
            (self.unanswered, InjectedFault::Unanswered),
            (self.dropped, InjectedFault::Dropped),
            (self.twice, InjectedFault::Twice),
        ];
        let mut sum = 0.0;
        for (rate, fault) in rates {
            sum += rate;
            if random < sum {
                return fault;
            }
        }
        InjectedFault::None
    }
}

impl Default for Faults {
    /// Injects some of every fault.
    ///
    /// About 3 of 10 appends and 1 of 10 reads fail, and 1 of 10 appends with an idempotency key is sent twice.
    fn default() -> Self {
        Self {
            rejected: 0.06,
            rolled_back: 0.06,
            unsent: 0.06,
            unanswered: 0.06,
            dropped: 0.06,
            twice: 0.1,
            reads: 0.1,
            ..Self::DELAYS
        }
    }
}

/// The fault of one append or of one change of documents; see the fields of [`Faults`].
#[derive(Clone, Copy)]
pub(super) enum InjectedFault {
    Rejected,
    RolledBack,
    Unsent,
    Unanswered,
    Dropped,
    Twice,
    None,
}
