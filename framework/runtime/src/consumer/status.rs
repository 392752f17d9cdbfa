//! [`ConsumerStatus`]: the progress and health of a consumer.

use std::collections::BTreeMap;
use std::time::Duration;

use factum_core::position::Position;
use tokio::time::Instant;
use uuid::Uuid;

use super::control_error::WaitError;

/// The progress and health of a consumer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// The name of the consumer.
    pub name: String,
    /// The state; with several partitions, the worst state.
    pub state: ConsumerState,
    /// The number of the build that this status describes: the active one, or the first.
    pub build: u64,
    /// The checkpoint: the position up to which every event was processed or became a dead letter.
    pub position: Position,
    /// The position of the newest event in the log, as far as known.
    pub head: Position,
    /// The recent number of events of the log that the consumer passes per second.
    ///
    /// With several partitions, this is the rate of the slowest one.
    pub rate: f64,
    /// The node that processes each partition; `None` if no node does at the moment.
    pub nodes: Vec<Option<Uuid>>,
    /// The number of events in the dead-letter queue.
    pub dead_letters: u64,
    /// Set if the consumer has an active build.
    ///
    /// The active build may have another version than this code, and may not have caught up.
    pub readable: bool,
    /// Set if the active build has the version of this code.
    pub is_current_version: bool,
    /// The number and the checkpoint of the build that will become active.
    pub building: Option<(u64, Position)>,
    /// The reason why the newest build is not promoted, and the call that helps.
    pub promotion_blocked: Option<String>,
    /// The last error that was not resolved.
    pub last_error: Option<String>,
    /// The error of each build that has stopped.
    stopped: BTreeMap<u64, String>,
    blocked_build: Option<u64>,
    /// The lag time when it was measured, and the time of the measurement; `None` if no partition lags.
    measured_lag: Option<(Duration, Instant)>,
}

/// The state of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConsumerState {
    /// It processes events as they are stored.
    Live,
    /// Another node processes the events.
    OnOtherNode,
    /// It processes events that were stored earlier.
    CatchingUp,
    /// It prepares its read model.
    Starting,
    /// Another node holds the lease, and has sent no heartbeat since this node started.
    ///
    /// This node takes over when the lease expires.
    AwaitingLease,
    /// A user has paused it.
    Paused,
    /// An operation failed and is retried.
    Retrying,
    /// An operation failed permanently. Nothing was skipped; `resume` or `rebuild` continues.
    Stopped,
    /// It does not run any more on this node: the runtime was stopped or the store was closed.
    Ended,
}

impl ConsumerStatus {
    /// Creates the status of a consumer that has not started.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: ConsumerState::Starting,
            build: 0,
            position: Position::ZERO,
            head: Position::ZERO,
            rate: 0.0,
            nodes: Vec::new(),
            dead_letters: 0,
            readable: false,
            is_current_version: false,
            building: None,
            promotion_blocked: None,
            last_error: None,
            stopped: BTreeMap::new(),
            blocked_build: None,
            measured_lag: None,
        }
    }

    /// Records the builds that have stopped, and the build whose promotion is blocked.
    #[doc(hidden)]
    pub fn set_obstacles(
        &mut self,
        stopped: BTreeMap<u64, String>,
        blocked: Option<(u64, String)>,
    ) {
        self.stopped = stopped;
        self.blocked_build = blocked.as_ref().map(|(build, _)| *build);
        self.promotion_blocked = blocked.map(|(_, reason)| reason);
    }

    /// Returns the longest time that an unprocessed event may have waited by now; zero if there is none.
    #[must_use]
    pub fn lag_time(&self) -> Duration {
        let lag = self.measured_lag;
        lag.map_or(Duration::ZERO, |(lag, measured)| lag + measured.elapsed())
    }

    /// Sets the lag time, which grows until it is set again; `None` if no partition lags.
    #[doc(hidden)]
    pub fn set_lag_time(&mut self, lag: Option<Duration>) {
        self.measured_lag = lag.map(|lag| (lag, Instant::now()));
    }

    /// Returns the error of a wait that ended in this status without success.
    #[doc(hidden)]
    #[must_use]
    pub fn wait_error(&self) -> WaitError {
        let (name, position) = (self.name.clone(), self.position);
        match &self.promotion_blocked {
            _ if self.state == ConsumerState::Ended => WaitError::ShutDown { name, position },
            _ if self.is_stopped() => {
                let error = self.last_error.clone();
                let error = error.unwrap_or_else(|| "unknown error".to_owned());
                WaitError::Stopped {
                    name,
                    position,
                    error,
                }
            }
            Some(reason) => WaitError::PromotionBlocked {
                name,
                position,
                reason: reason.clone(),
            },
            None => WaitError::ShutDown { name, position },
        }
    }

    /// Returns the reason why `build` will not become active without a request, if there is one.
    #[doc(hidden)]
    #[must_use]
    pub fn obstacle_of(&self, build: u64) -> Option<WaitError> {
        let (name, position) = (self.name.clone(), self.position);
        if let Some(error) = self.stopped.get(&build).cloned() {
            return Some(WaitError::Stopped {
                name,
                position,
                error,
            });
        }
        let reason = self.promotion_blocked.clone();
        let reason = reason.filter(|_| self.blocked_build == Some(build))?;
        Some(WaitError::PromotionBlocked {
            name,
            position,
            reason,
        })
    }

    /// Returns the number of events in the log after the checkpoint.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.head.get().saturating_sub(self.position.get())
    }

    /// Returns the estimated time until the checkpoint reaches the head; `None` if the rate is unknown.
    ///
    /// If a build is catching up, this is the time until the checkpoint of that build reaches the head.
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

    /// Returns whether it has stopped after a failure.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state == ConsumerState::Stopped
    }
}
