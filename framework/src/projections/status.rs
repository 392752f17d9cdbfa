//! How a projection stands, for people and machines.

use crate::error::{DecodeError, StoreError};
use crate::place::Position;

/// How a projection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// What it is at.
    pub state: ProjectionState,
    /// Every event up to here has had its effect.
    pub position: Position,
    /// The newest event of the store, as far as the projection knows.
    pub head: Position,
    /// What went wrong last, and is not mended yet.
    pub last_error: Option<String>,
}

/// What a projection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectionState {
    /// It makes its read model ready.
    Starting,
    /// It takes events that were stored before.
    CatchingUp,
    /// It takes each event as it is stored.
    Live,
    /// Something failed; it tries again.
    Retrying,
    /// Something failed as often as the policy allows. Nothing was skipped; it waits for `resume` or
    /// `rebuild`.
    Stopped,
}

impl ProjectionStatus {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: ProjectionState::Starting,
            position: Position::ZERO,
            head: Position::ZERO,
            last_error: None,
        }
    }

    /// How many events of the store it has not come to.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.head.get().saturating_sub(self.position.get())
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
    pub(super) fn stopped(status: &ProjectionStatus) -> Self {
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

    pub(super) fn ended(status: &ProjectionStatus) -> Self {
        let error = "its task has ended".to_owned();
        Self {
            name: status.name.clone(),
            position: status.position,
            error,
        }
    }
}
