//! [`Faults`]: how a store fails, and how often.

use std::time::Duration;

#[cfg(doc)]
use factum_engine::error::StoreError;

/// How a [`Faulty`](super::Faulty) store fails, and how often: every rate is a probability from 0 to 1. An
/// append meets one fault at most: of the first six rates, what exceeds 1 together has no effect.
///
/// ```
/// use factum_testkit::Faults;
///
/// let lost_answers = Faults { unanswered: 0.5, ..Faults::NONE };
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// An append is turned away at the door: [`StoreError::Unavailable`].
    pub rejected: f64,
    /// An append is begun below and taken back there: [`StoreError::Unavailable`].
    pub rolled_back: f64,
    /// An append is lost on its way there, and not stored: [`StoreError::Interrupted`].
    pub unsent: f64,
    /// An append is stored, and the answer is lost: [`StoreError::Interrupted`].
    pub unanswered: f64,
    /// The future of an append below is dropped on the way, so that it is stored as a whole or not at all, soon
    /// or never: [`StoreError::Interrupted`].
    pub dropped: f64,
    /// An append with an idempotency key is delivered twice, at once or later, and either answer comes back.
    pub twice: f64,
    /// A read, a look at a key, or whatever concerns a snapshot fails, with [`StoreError::Unavailable`] or
    /// [`StoreError::Interrupted`]. A snapshot may have been saved then.
    pub reads: f64,
    /// A call pauses, ahead of the store below; and, by another throw, behind it.
    pub pauses: f64,
    /// A watcher wakes up late, and, by another throw, for nothing. No wake-up is lost.
    pub wakes: f64,
    /// The longest of all pauses. Some only let other tasks go first.
    pub longest_pause: Duration,
}

impl Faults {
    /// None at all.
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

    /// No errors, but calls and wake-ups that come late: all promises hold, and the conformance suite passes.
    pub const DELAYS: Self = Self {
        pauses: 0.2,
        wakes: 0.3,
        longest_pause: Duration::from_millis(3),
        ..Self::NONE
    };

    pub(super) fn fate(&self, throw: f64) -> Fate {
        let rates = [
            (self.rejected, Fate::Rejected),
            (self.rolled_back, Fate::RolledBack),
            (self.unsent, Fate::Unsent),
            (self.unanswered, Fate::Unanswered),
            (self.dropped, Fate::Dropped),
            (self.twice, Fate::Twice),
        ];
        let mut below = 0.0;
        for (rate, fate) in rates {
            below += rate;
            if throw < below {
                return fate;
            }
        }
        Fate::Sound
    }
}

impl Default for Faults {
    /// Some of everything: about every third append and every tenth read fails, and every tenth append comes twice.
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

/// What becomes of an append.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    Rejected,
    RolledBack,
    Unsent,
    Unanswered,
    Dropped,
    Twice,
    Sound,
}
