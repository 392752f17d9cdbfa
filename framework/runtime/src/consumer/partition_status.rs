//! [`PartitionStatus`]: the status of one partition of one build.

use std::time::Duration;

use factum_core::position::Position;
use factum_core::timestamp::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::status::ConsumerState;

/// The status of one partition of one build.
#[derive(Debug, Clone)]
pub struct PartitionStatus {
    /// The state.
    pub state: ConsumerState,
    /// The checkpoint.
    pub position: Position,
    /// The newest known position of the log.
    pub head: Position,
    /// The time at which the newest processed event was stored.
    pub newest: Option<Timestamp>,
    /// The node that holds the lease.
    pub node: Option<Uuid>,
    /// The number of dead letters.
    pub dead_letters: u64,
    /// The last error that was not resolved.
    pub last_error: Option<String>,
    /// Set if the build has another version than this code.
    pub is_other_version: bool,
    /// The number of events of the log that the partition passes per second.
    pub rate: f64,
    /// The time of the last move of the checkpoint, or of the first status.
    moved: Instant,
    /// The time at which the checkpoint was last seen at the head.
    caught_up: Option<Instant>,
}

impl Default for PartitionStatus {
    fn default() -> Self {
        Self {
            state: ConsumerState::Starting,
            position: Position::ZERO,
            head: Position::ZERO,
            newest: None,
            node: None,
            dead_letters: 0,
            last_error: None,
            is_other_version: false,
            rate: 0.0,
            moved: Instant::now(),
            caught_up: None,
        }
    }
}

impl PartitionStatus {
    /// Returns the maximum time that an unprocessed event may have waited.
    ///
    /// It is the shorter of two times: the time since the last processed event was stored, and the time since the
    /// checkpoint was at the head. If neither is known, it is the time since the checkpoint was first seen.
    pub fn lag_time(&self, now_micros: i64) -> Duration {
        let age = self
            .newest
            .map(|newest| now_micros.saturating_sub(newest.as_micros()).max(0));
        let age = age.map(|age| Duration::from_micros(age as u64));
        let caught_up = self.caught_up.map(|at| at.elapsed());
        let known = age.into_iter().chain(caught_up).min();
        known.unwrap_or_else(|| self.moved.elapsed())
    }

    /// Sets the position without an effect on the rate.
    pub fn reset_position(&mut self, position: Position) {
        self.moved = Instant::now();
        self.position = position;
    }

    /// Moves the checkpoint, and updates the rate.
    pub fn advance(&mut self, position: Position) {
        if self.position == Position::ZERO && self.state != ConsumerState::CatchingUp {
            // It is seen for the first time.
            return self.reset_position(position);
        }
        let passed = position.get().saturating_sub(self.position.get()) as f64;
        let seconds = self.moved.elapsed().as_secs_f64();
        if passed > 0.0 && seconds > 0.0 {
            // An exponential moving average over about ten batches.
            let current = passed / seconds;
            self.rate = if self.rate == 0.0 {
                current
            } else {
                self.rate * 0.9 + current * 0.1
            };
        }
        self.moved = Instant::now();
        self.position = position;
    }

    /// Records whether the checkpoint is at the head.
    pub fn record_caught_up(&mut self) {
        if self.head > Position::ZERO && self.position >= self.head {
            self.caught_up = Some(Instant::now());
        }
    }
}
