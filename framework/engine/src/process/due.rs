//! [`When`]: the due time of a deadline.

use std::time::Duration;

use factum_core::timestamp::Timestamp;

/// The due time of a deadline: a [`Timestamp`], or a [`Duration`] after the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this time.
    At(Timestamp),
    /// This long after the cause.
    After(Duration),
}

impl When {
    /// Returns the due time, for a cause at the time `at`.
    #[must_use]
    pub fn due(self, at: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::After(duration) => at + duration,
        }
    }
}

impl From<Timestamp> for When {
    fn from(time: Timestamp) -> Self {
        Self::At(time)
    }
}

impl From<Duration> for When {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}
