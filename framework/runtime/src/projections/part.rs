//! [`Part`]: how one partition of one build stands.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::ProjectionState;
use factum_core::position::Position;
use factum_core::timestamp::Timestamp;

/// How one partition of one build stands.
#[derive(Debug, Clone)]
pub struct Part {
    pub state: ProjectionState,
    pub position: Position,
    pub head: Position,
    pub newest: Option<Timestamp>,
    pub owner: Option<Uuid>,
    pub parked: u64,
    pub last_error: Option<String>,
    /// It is of another version than this code's.
    pub foreign: bool,
    pub rate: f64,
    moved: Instant,
    /// When it was seen last that nothing was left to do.
    pub level: Option<Instant>,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            state: ProjectionState::Starting,
            position: Position::ZERO,
            head: Position::ZERO,
            newest: None,
            owner: None,
            parked: 0,
            last_error: None,
            foreign: false,
            rate: 0.0,
            moved: Instant::now(),
            level: None,
        }
    }
}

impl Part {
    /// How long what it has to do may have waited: no longer than since the event ahead of it, and not since it was level with
    /// the head.
    pub fn behind(&self, now: i64) -> Duration {
        let age = self
            .newest
            .map(|newest| now.saturating_sub(newest.as_micros()).max(0));
        let age = age.map(|age| Duration::from_micros(age as u64));
        let level = self.level.map(|level| level.elapsed());
        age.into_iter().chain(level).min().unwrap_or_default()
    }

    /// It stands at `position`, which says nothing of how fast it came there.
    pub fn stand_at(&mut self, position: Position) {
        self.moved = Instant::now();
        self.position = position;
    }

    /// It has come to `position`.
    pub fn come_to(&mut self, position: Position) {
        if self.position == Position::ZERO && self.state != ProjectionState::CatchingUp {
            // Seen for the first time.
            return self.stand_at(position);
        }
        let passed = position.get().saturating_sub(self.position.get()) as f64;
        let seconds = self.moved.elapsed().as_secs_f64();
        if passed > 0.0 && seconds > 0.0 {
            // A mean that forgets within about ten pages.
            let now = passed / seconds;
            self.rate = if self.rate == 0.0 {
                now
            } else {
                self.rate * 0.9 + now * 0.1
            };
        }
        self.moved = Instant::now();
        self.position = position;
    }
}
