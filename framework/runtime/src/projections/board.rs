//! [`Board`]: where the tasks of one projection tell how they stand.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::control::Build;
use super::part::Part;
use super::{ProjectionState, ProjectionStatus};
use factum_core::position::Position;
use factum_core::timestamp::Timestamp;

/// Where the tasks of one projection tell how they stand, and everybody reads it.
pub struct Board {
    parts: Mutex<Parts>,
    status: watch::Sender<ProjectionStatus>,
}

#[derive(Default)]
struct Parts {
    serving: Option<u64>,
    parts: BTreeMap<(u64, u16), Part>,
    /// What went wrong outside of any partition.
    failure: Option<(ProjectionState, String)>,
    /// Which build readers do not see without an order, and why.
    promotion_blocked: Option<(u64, String)>,
}

impl Board {
    pub fn new(name: &str) -> Self {
        Self {
            parts: Mutex::default(),
            status: watch::Sender::new(ProjectionStatus::new(name)),
        }
    }

    pub fn watch(&self) -> watch::Receiver<ProjectionStatus> {
        self.status.subscribe()
    }

    /// Changes how the partition `of` stands.
    pub fn part(&self, of: (u64, u16), change: impl FnOnce(&mut Part)) {
        self.edit(|parts| {
            let part = parts.parts.entry(of).or_default();
            change(part);
            if part.head > Position::ZERO && part.position >= part.head {
                part.level = Some(Instant::now());
            }
        });
    }

    /// The newest event of the store is at `head`, whether anybody takes it or not.
    pub fn head(&self, head: Position) {
        self.edit(|parts| {
            let parts = parts.parts.values_mut();
            parts.for_each(|part| part.head = part.head.max(head));
        });
    }

    /// Readers see `serving`; only it and the builds of `own` count, with all their partitions.
    pub fn builds(&self, serving: Option<u64>, own: &[Build]) {
        self.edit(|parts| {
            parts.serving = serving;
            let kept =
                |number| Some(number) == serving || own.iter().any(|own| own.number == number);
            parts.parts.retain(|(build, _), _| kept(*build));
            // Where no worker has told of itself yet, nothing has been done.
            for build in own {
                for partition in 0..build.partitions {
                    parts.parts.entry((build.number, partition)).or_default();
                }
            }
            parts.failure = None;
        });
    }

    /// Readers do not see that build without an order.
    pub fn hold_back(&self, promotion_blocked: Option<(u64, String)>) {
        self.edit(|parts| parts.promotion_blocked = promotion_blocked);
    }

    /// Somebody wants it to go on.
    pub fn go_on(&self) {
        self.edit(|parts| {
            parts.failure = None;
            parts.promotion_blocked = None;
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
    pub fn fail(&self, state: ProjectionState, error: String) {
        self.edit(|parts| parts.failure = Some((state, error)));
    }

    fn edit(&self, edit: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        edit(&mut parts);
        // Under the lock, so that the last change is told last.
        self.status.send_modify(|status| {
            parts.tell(status);
            crate::metrics::projection_stands(status);
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

    /// Each partition passes all events, so that the slowest counts of those that have something to do.
    fn rate(&self, build: u64) -> f64 {
        let lags = |part: &&Part| part.position < part.head;
        let slowest = |rates: &mut dyn Iterator<Item = f64>| rates.reduce(f64::min);
        let lagging = slowest(&mut self.of(build).filter(lags).map(|part| part.rate));
        let rate = lagging.or_else(|| slowest(&mut self.of(build).map(|part| part.rate)));
        rate.unwrap_or_default()
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
        status.readable = served.is_some();
        status.current = served.is_some() && self.of(build).all(|part| !part.foreign);
        status.building = filled.map(|build| (build, self.position(build)));
        status.promotion_blocked = self.promotion_blocked.clone().map(|(_, why)| why);
        status.held_build = self.promotion_blocked.as_ref().map(|(build, _)| *build);
        status.rate = self.rate(filled.unwrap_or(build));
        let lagging = self.of(build).filter(|part| part.position < part.head);
        let behind = lagging.map(|part| part.behind(now)).max();
        status.behind = behind.unwrap_or_default();
        let own = || {
            self.of(build)
                .chain(filled.into_iter().flat_map(|build| self.of(build)))
        };
        let worst = self.of(build).map(|part| part.state).max();
        status.state = worst.unwrap_or(ProjectionState::Starting);
        status.last_error = own().find_map(|part| part.last_error.clone());
        let stopped = self.parts.iter();
        let stopped = stopped.filter(|(_, part)| part.state == ProjectionState::Stopped);
        let why = |part: &Part| part.last_error.clone().unwrap_or_default();
        status.stopped = stopped
            .map(|((build, _), part)| (*build, why(part)))
            .collect();
        if let Some((state, error)) = &self.failure {
            status.state = *state;
            status.last_error = Some(error.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    fn build(number: u64, partitions: u16) -> Build {
        Build {
            number,
            version: 1,
            partitions,
            retired: false,
        }
    }

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    fn told(board: &Board) -> ProjectionStatus {
        board.watch().borrow().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn rate_and_remaining_time_are_those_of_late() {
        let board = Board::new("a");
        board.builds(Some(1), &[build(1, 1)]);
        assert_eq!(told(&board).remaining(), Some(Duration::ZERO));
        // Where it stood before says nothing of its rate.
        board.part((1, 0), |part| {
            part.stand_at(at(1_000_000));
            part.head = at(1_001_500);
            part.state = ProjectionState::CatchingUp;
        });
        assert_eq!((told(&board).rate, told(&board).lag()), (0.0, 1_500));
        assert_eq!(told(&board).remaining(), None);
        tokio::time::advance(Duration::from_secs(2)).await;
        board.part((1, 0), |part| part.come_to(at(1_000_500)));
        let status = told(&board);
        assert_eq!((status.rate, status.lag()), (250.0, 1_000));
        assert_eq!(status.remaining(), Some(Duration::from_secs(4)));
        tokio::time::advance(Duration::from_secs(1)).await;
        board.part((1, 0), |part| part.come_to(at(1_001_500)));
        assert_eq!(told(&board).rate, 250.0 * 0.9 + 1_000.0 * 0.1);
        assert_eq!(told(&board).remaining(), Some(Duration::ZERO));
        // Another build is filled beside: its rate, and the time that it takes.
        board.builds(Some(1), &[build(1, 1), build(2, 1)]);
        board.part((2, 0), |part| part.state = ProjectionState::CatchingUp);
        tokio::time::advance(Duration::from_secs(1)).await;
        board.part((2, 0), |part| part.come_to(at(500_750)));
        let status = told(&board);
        assert_eq!(status.building, Some((2, at(500_750))));
        assert_eq!(
            status.remaining(),
            Some(Duration::from_secs_f64(500_750.0 / 500_750.0))
        );
    }

    #[test]
    fn a_partition_that_has_not_told_of_itself_has_come_nowhere() {
        let board = Board::new("a");
        board.builds(Some(1), &[build(1, 3)]);
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        board.part((1, 0), |part| {
            part.stand_at(at(9));
            part.owner = Some(one);
            part.parked = 2;
            part.state = ProjectionState::Live;
        });
        board.part((1, 2), |part| {
            part.stand_at(at(7));
            part.owner = Some(two);
            part.parked = 3;
            part.state = ProjectionState::Elsewhere;
            part.last_error = Some("no luck".to_owned());
        });
        let status = told(&board);
        assert_eq!(status.position, Position::ZERO);
        assert_eq!(status.state, ProjectionState::Starting);
        assert_eq!(status.owners, [Some(one), None, Some(two)]);
        assert_eq!(status.parked, 5);
        assert_eq!(status.last_error.as_deref(), Some("no luck"));
        board.part((1, 1), |part| {
            part.stand_at(at(8));
            part.state = ProjectionState::Live;
        });
        assert_eq!(
            (told(&board).position, told(&board).state),
            (at(7), ProjectionState::Elsewhere)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn of_partitions_the_slowest_counts() {
        let board = Board::new("a");
        board.builds(Some(1), &[build(1, 2)]);
        for partition in 0..2 {
            board.part((1, partition), |part| {
                part.head = at(10_000);
                part.state = ProjectionState::CatchingUp;
            });
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        board.part((1, 0), |part| part.come_to(at(2_000)));
        board.part((1, 1), |part| part.come_to(at(1_000)));
        // Each of them passes all events: together they are no faster.
        assert_eq!(told(&board).rate, 1_000.0);
        assert_eq!(told(&board).remaining(), Some(Duration::from_secs(9)));
        board.part((1, 1), |part| part.come_to(at(10_000)));
        assert_eq!(told(&board).rate, 2_000.0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_level_a_moment_ago_is_not_as_far_back_as_its_newest_event() {
        let board = Board::new("a");
        board.builds(Some(1), &[build(1, 1)]);
        let hours = 3 * 3_600_000_000;
        let now = Timestamp::now().as_micros();
        board.part((1, 0), |part| {
            part.stand_at(at(5));
            part.head = at(5);
            part.newest = Some(Timestamp::from_micros(now - hours));
        });
        tokio::time::advance(Duration::from_secs(2)).await;
        board.part((1, 0), |part| part.head = at(6));
        assert_eq!(told(&board).behind, Duration::from_secs(2));
    }

    #[test]
    fn it_is_as_far_back_as_the_event_that_it_took_last() {
        let board = Board::new("a");
        board.builds(Some(1), &[build(1, 1)]);
        let minute = 60_000_000;
        let now = Timestamp::now().as_micros();
        board.part((1, 0), |part| {
            part.stand_at(at(3));
            part.head = at(5);
            part.newest = Some(Timestamp::from_micros(now - minute));
        });
        let behind = told(&board).behind;
        assert!((60..75).contains(&behind.as_secs()), "{behind:?}");
        board.part((1, 0), |part| part.come_to(at(5)));
        assert_eq!(
            (told(&board).behind, told(&board).lag()),
            (Duration::ZERO, 0)
        );
    }
}
