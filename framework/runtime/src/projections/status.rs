//! How a projection stands, for people and machines.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use factum_core::position::Position;
use factum_engine::error::{DecodeError, StoreError};

/// How a projection stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// What it is at.
    pub state: ProjectionState,
    /// Which build this tells of: the one that readers see, or the first.
    pub build: u64,
    /// Every event up to here has had its effect, or is parked.
    pub position: Position,
    /// The newest event of the store, as far as the projection knows.
    pub head: Position,
    /// How far back in time it is, at most, unless there is nothing to do: the age of the newest event that had its effect, or
    /// the time since there was nothing to do, whichever is less.
    pub behind: Duration,
    /// Events of the store that it passes in a second, lately; of several partitions, the slowest.
    pub rate: f64,
    /// The instances that work on it, one for each partition; `None`: nobody does at the moment.
    pub owners: Vec<Option<Uuid>>,
    /// How many events are parked.
    pub parked: u64,
    /// Readers find a build, if perhaps one of another version, and not full.
    pub readable: bool,
    /// Readers see a build of this code's version, and not that of another, which goes on serving meanwhile.
    pub current: bool,
    /// The build that is being filled beside, and the position that it has come to.
    pub building: Option<(u64, Position)>,
    /// Why readers do not see this code's newest build without an order, and which order helps.
    pub promotion_blocked: Option<String>,
    /// What went wrong last, and is not mended yet.
    pub last_error: Option<String>,
    /// Which builds do not go on, and why.
    pub stopped: BTreeMap<u64, String>,
    /// Which build is held back.
    pub held_build: Option<u64>,
}

/// What a projection is at. Of several partitions, the one that is worst off counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProjectionState {
    /// It takes each event as it is stored.
    Live,
    /// Another instance takes the events.
    Elsewhere,
    /// It takes events that were stored before.
    CatchingUp,
    /// It makes its read model ready.
    Starting,
    /// Somebody has paused it.
    Paused,
    /// Something failed; it tries again.
    Retrying,
    /// Something failed as often as the policy allows. Nothing was skipped; it waits for `resume` or
    /// `rebuild`.
    Stopped,
}

impl ProjectionStatus {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: ProjectionState::Starting,
            build: 0,
            position: Position::ZERO,
            head: Position::ZERO,
            behind: Duration::ZERO,
            rate: 0.0,
            owners: Vec::new(),
            parked: 0,
            readable: false,
            current: false,
            building: None,
            promotion_blocked: None,
            last_error: None,
            stopped: BTreeMap::new(),
            held_build: None,
        }
    }

    /// Why readers will not see `build`, if it has stopped or is held back.
    pub fn why_not(&self, build: u64) -> Option<String> {
        let promotion_blocked = self.promotion_blocked.as_ref();
        let promotion_blocked = promotion_blocked.filter(|_| self.held_build == Some(build));
        self.stopped.get(&build).or(promotion_blocked).cloned()
    }

    /// How many events of the store it has not come to.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.head.get().saturating_sub(self.position.get())
    }

    /// How long it takes, at the rate of late, to come to the head; for a build that is being filled, how long that
    /// takes. `None`: nothing is known of the rate.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let position = self
            .building
            .map_or(self.position, |(_, position)| position);
        let lag = self.head.get().saturating_sub(position.get());
        match lag {
            0 => Some(Duration::ZERO),
            _ if self.rate > 0.0 => Duration::try_from_secs_f64(lag as f64 / self.rate).ok(),
            _ => None,
        }
    }

    /// Whether it has given up for now.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state == ProjectionState::Stopped
    }
}

/// An event could not be projected, or a read model not be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// An event cannot be read by this code.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The store of the events failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The read model, or the projection's own code, failed.
    #[error(transparent)]
    Handler(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl From<String> for ProjectionError {
    fn from(reason: String) -> Self {
        Self::Handler(reason.into())
    }
}

/// Waiting for a projection was in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the projection {name:?} stopped at position {position}: {error}")]
pub struct WaitError {
    /// The name of the projection.
    pub name: String,
    /// Where it stands.
    pub position: Position,
    /// What went wrong.
    pub error: String,
}

impl WaitError {
    pub fn stopped(status: &ProjectionStatus) -> Self {
        let error = status
            .last_error
            .clone()
            .unwrap_or_else(|| "no error is known".to_owned());
        Self {
            name: status.name.clone(),
            position: status.position,
            error,
        }
    }

    pub fn promotion_blocked(status: &ProjectionStatus, why: &str) -> Self {
        Self {
            name: status.name.clone(),
            position: status.position,
            error: why.to_owned(),
        }
    }

    pub fn ended(status: &ProjectionStatus) -> Self {
        let error = "its task has ended".to_owned();
        Self {
            name: status.name.clone(),
            position: status.position,
            error,
        }
    }
}
