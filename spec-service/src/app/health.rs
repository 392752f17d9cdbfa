//! [`Health`]: the state of the store and of the projections.

use factum::Position;
use factum::runtime::{ConsumerState, ConsumerStatus};

/// The health of the service.
#[derive(Debug, Clone)]
pub struct Health {
    /// `Ok` if the store accepts writes, otherwise the error.
    pub store: Result<(), String>,
    /// The position of the last event in the store.
    pub head: Position,
    /// The status of each projection.
    pub projections: Vec<ConsumerStatus>,
}

impl Health {
    /// Returns the greatest lag of a projection, in events.
    #[must_use]
    pub fn lag(&self) -> u64 {
        let lag = |status: &ConsumerStatus| self.head.get().saturating_sub(status.position.get());
        self.projections.iter().map(lag).max().unwrap_or(0)
    }

    /// Returns whether the service is ready.
    ///
    /// The service is ready if the store accepts writes, every projection processes events, and no projection lags by
    /// more than `max_lag` events.
    #[must_use]
    pub fn is_ready(&self, max_lag: u64) -> bool {
        self.store.is_ok() && self.lag() <= max_lag && self.projections.iter().all(is_processed)
    }
}

/// Returns whether a node processes new events, or will after a user resumes the projection.
fn is_processed(status: &ConsumerStatus) -> bool {
    // A node that holds the lease and sends no heartbeat may have died.
    !matches!(
        status.state,
        ConsumerState::Starting
            | ConsumerState::AwaitingLease
            | ConsumerState::Stopped
            | ConsumerState::Ended
    )
}
