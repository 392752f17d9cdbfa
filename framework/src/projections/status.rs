//! How a projection stands, for people and machines.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{DecodeError, StoreError};
use crate::metrics;
use crate::place::Position;
use crate::timestamp::Timestamp;

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
    /// How far back in time it is: the age of the newest event that had its effect, unless there is nothing to do.
    pub behind: Duration,
    /// Events of the store that it passes in a second, lately, by this instance.
    pub rate: f64,
    /// The instances that work on it, one for each partition; `None`: nobody does at the moment.
    pub owners: Vec<Option<Uuid>>,
    /// How many events are parked.
    pub parked: u64,
    /// Readers see a build of this code's version, and not that of another, which goes on serving meanwhile.
    pub current: bool,
    /// The build that is being filled beside, and the position that it has come to.
    pub building: Option<(u64, Position)>,
    /// What went wrong last, and is not mended yet.
    pub last_error: Option<String>,
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
    fn new(name: &str) -> Self {
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
            current: false,
            building: None,
            last_error: None,
        }
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

/// Where the tasks of one projection tell how they stand, and everybody reads it.
pub(super) struct Board {
    parts: Mutex<Parts>,
    status: watch::Sender<ProjectionStatus>,
}

#[derive(Default)]
struct Parts {
    serving: Option<u64>,
    parts: BTreeMap<(u64, u16), Part>,
    /// What went wrong outside of any partition.
    failure: Option<(ProjectionState, String)>,
}

/// How one partition of one build stands.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) state: ProjectionState,
    pub(super) position: Position,
    pub(super) head: Position,
    pub(super) newest: Option<Timestamp>,
    pub(super) owner: Option<Uuid>,
    pub(super) parked: u64,
    pub(super) last_error: Option<String>,
    /// It is of another version than this code's.
    pub(super) foreign: bool,
    rate: f64,
    moved: Instant,
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
        }
    }
}

impl Part {
    /// It has come to `position`.
    pub(super) fn come_to(&mut self, position: Position) {
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

impl Board {
    pub(super) fn new(name: &str) -> Self {
        Self {
            parts: Mutex::default(),
            status: watch::Sender::new(ProjectionStatus::new(name)),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<ProjectionStatus> {
        self.status.subscribe()
    }

    /// Changes how the partition `of` stands.
    pub(super) fn part(&self, of: (u64, u16), change: impl FnOnce(&mut Part)) {
        self.edit(|parts| change(parts.parts.entry(of).or_default()));
    }

    /// Readers see `serving`; only the partitions of `kept` count any more.
    pub(super) fn builds(&self, serving: Option<u64>, kept: impl Fn(u64) -> bool) {
        self.edit(|parts| {
            parts.serving = serving;
            parts.parts.retain(|(build, _), _| kept(*build));
            parts.failure = None;
        });
    }

    /// Somebody wants it to go on.
    pub(super) fn go_on(&self) {
        self.edit(|parts| {
            parts.failure = None;
            for part in parts
                .parts
                .values_mut()
                .filter(|part| part.state == ProjectionState::Stopped)
            {
                part.state = ProjectionState::Starting;
            }
        });
    }

    /// Something went wrong outside of any partition.
    pub(super) fn fail(&self, state: ProjectionState, error: String) {
        self.edit(|parts| parts.failure = Some((state, error)));
    }

    fn edit(&self, edit: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        edit(&mut parts);
        // Under the lock, so that the last change is told last.
        self.status.send_modify(|status| {
            parts.tell(status);
            metrics::projection_stands(status);
        });
    }
}

impl Parts {
    fn of(&self, build: u64) -> impl Iterator<Item = &Part> {
        let parts = self.parts.range((build, 0)..=(build, u16::MAX));
        parts.map(|(_, part)| part)
    }

    fn position(&self, build: u64) -> Position {
        self.of(build)
            .map(|part| part.position)
            .min()
            .unwrap_or_default()
    }

    fn tell(&self, status: &mut ProjectionStatus) {
        let builds = || self.parts.keys().map(|(build, _)| *build);
        let served = self
            .serving
            .filter(|serving| builds().any(|build| build == *serving));
        let build = served.or_else(|| builds().next()).unwrap_or_default();
        let filled = builds().filter(|other| *other > build).max();
        let now = Timestamp::now().as_micros();
        status.build = build;
        status.position = self.position(build);
        status.head = self
            .of(build)
            .map(|part| part.head)
            .max()
            .unwrap_or_default();
        status.owners = self.of(build).map(|part| part.owner).collect();
        status.parked = self.of(build).map(|part| part.parked).sum();
        status.current = served.is_some() && self.of(build).all(|part| !part.foreign);
        status.building = filled.map(|build| (build, self.position(build)));
        status.rate = self.of(filled.unwrap_or(build)).map(|part| part.rate).sum();
        let lagging = self.of(build).filter(|part| part.position < part.head);
        let newest = lagging.filter_map(|part| part.newest).min();
        let age = newest.map_or(0, |newest| now.saturating_sub(newest.as_micros()));
        status.behind = Duration::from_micros(age.max(0) as u64);
        let own = || {
            self.of(build)
                .chain(filled.into_iter().flat_map(|build| self.of(build)))
        };
        let worst = self.of(build).map(|part| part.state).max();
        status.state = worst.unwrap_or(ProjectionState::Starting);
        status.last_error = own().find_map(|part| part.last_error.clone());
        if let Some((state, error)) = &self.failure {
            status.state = *state;
            status.last_error = Some(error.clone());
        }
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
