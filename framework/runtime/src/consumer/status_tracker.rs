//! [`StatusTracker`]: collects the status of the partitions of one consumer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use factum_core::position::Position;
use factum_core::timestamp::Timestamp;
use tokio::sync::watch;

use super::build::Build;
use super::partition_status::PartitionStatus;
use super::status::{ConsumerState, ConsumerStatus};

/// Collects the status of the partitions of one consumer, and publishes the status of the whole.
pub struct StatusTracker {
    partitions: Mutex<Partitions>,
    status: watch::Sender<ConsumerStatus>,
}

/// The number of a build, and the index of one of its partitions.
pub type PartitionKey = (u64, u16);

#[derive(Default)]
struct Partitions {
    active: Option<u64>,
    partitions: BTreeMap<PartitionKey, PartitionStatus>,
    /// A failure outside of the partitions.
    failure: Option<(ConsumerState, String)>,
    /// The build whose promotion is blocked, and the reason.
    promotion_blocked: Option<(u64, String)>,
    /// Set once the consumer does not run any more on this node.
    has_ended: bool,
}

impl StatusTracker {
    /// Creates the tracker of the consumer `name`.
    pub fn new(name: &str) -> Self {
        Self {
            partitions: Mutex::default(),
            status: watch::Sender::new(ConsumerStatus::new(name)),
        }
    }

    /// Returns a receiver of the status.
    pub fn watch(&self) -> watch::Receiver<ConsumerStatus> {
        self.status.subscribe()
    }

    /// Updates the status of a partition.
    pub fn update(&self, key: PartitionKey, update: impl FnOnce(&mut PartitionStatus)) {
        self.edit(|partitions| {
            let partition = partitions.partitions.entry(key).or_default();
            update(partition);
            partition.record_caught_up();
        });
    }

    /// Records the head of the log, whether or not a partition processes events.
    pub fn set_head(&self, head: Position) {
        self.edit(|partitions| {
            let partitions = partitions.partitions.values_mut();
            partitions.for_each(|partition| partition.head = partition.head.max(head));
        });
    }

    /// Records the active build and the builds that this code processes. Other builds are removed.
    pub fn set_builds(&self, active: Option<u64>, own: &[Build]) {
        self.edit(|partitions| {
            partitions.active = active;
            let is_known =
                |number| Some(number) == active || own.iter().any(|own| own.number == number);
            partitions
                .partitions
                .retain(|(build, _), _| is_known(*build));
            // A partition without a report has processed nothing.
            for build in own {
                for partition in 0..build.partitions {
                    let key = (build.number, partition);
                    partitions.partitions.entry(key).or_default();
                }
            }
            partitions.failure = None;
        });
    }

    /// Records the build whose promotion is blocked, and the reason.
    pub fn set_promotion_blocked(&self, blocked: Option<(u64, String)>) {
        self.edit(|partitions| partitions.promotion_blocked = blocked);
    }

    /// Removes failures, because a user has requested to continue.
    pub fn clear_failures(&self) {
        self.edit(|partitions| {
            partitions.failure = None;
            partitions.promotion_blocked = None;
            let stopped = partitions.partitions.values_mut();
            for partition in stopped.filter(|it| it.state == ConsumerState::Stopped) {
                partition.state = ConsumerState::Starting;
            }
        });
    }

    /// Records a failure outside of the partitions.
    pub fn set_failure(&self, state: ConsumerState, error: String) {
        self.edit(|partitions| partitions.failure = Some((state, error)));
    }

    /// Records that the consumer does not run any more on this node.
    pub fn set_ended(&self) {
        self.edit(|partitions| partitions.has_ended = true);
    }

    fn edit(&self, edit: impl FnOnce(&mut Partitions)) {
        let mut partitions = self
            .partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        edit(&mut partitions);
        // Under the lock, so that the last change is published last.
        self.status.send_modify(|status| {
            partitions.summarize(status);
            // A consumer that has ended does not follow the head any more, so its lag would be too small.
            if !partitions.has_ended {
                crate::metrics::set_consumer_status(status);
            }
        });
    }
}

impl Partitions {
    fn of(&self, build: u64) -> impl Iterator<Item = &PartitionStatus> {
        let partitions = self.partitions.range((build, 0)..=(build, u16::MAX));
        partitions.map(|(_, partition)| partition)
    }

    fn position(&self, build: u64) -> Position {
        let positions = self.of(build).map(|partition| partition.position);
        positions.min().unwrap_or_default()
    }

    /// Returns the rate of the slowest partition that lags, or of the slowest partition if none lags.
    ///
    /// Each partition passes all events of the log, so the slowest one determines the rate.
    fn rate(&self, build: u64) -> f64 {
        let lags = |partition: &&PartitionStatus| partition.position < partition.head;
        let slowest = |rates: &mut dyn Iterator<Item = f64>| rates.reduce(f64::min);
        let lagging = slowest(&mut self.of(build).filter(lags).map(|it| it.rate));
        let rate = lagging.or_else(|| slowest(&mut self.of(build).map(|it| it.rate)));
        rate.unwrap_or_default()
    }

    fn summarize(&self, status: &mut ConsumerStatus) {
        let builds = || self.partitions.keys().map(|(build, _)| *build);
        let active = self
            .active
            .filter(|active| builds().any(|build| build == *active));
        let build = active.or_else(|| builds().next()).unwrap_or_default();
        let building = builds().filter(|other| *other > build).max();
        let now = Timestamp::now().as_micros();
        status.build = build;
        status.position = self.position(build);
        status.head = self
            .of(build)
            .map(|partition| partition.head)
            .max()
            .unwrap_or_default();
        status.nodes = self.of(build).map(|partition| partition.node).collect();
        status.dead_letters = self.of(build).map(|partition| partition.dead_letters).sum();
        status.readable = active.is_some();
        status.is_current_version =
            active.is_some() && self.of(build).all(|partition| !partition.is_other_version);
        status.building = building.map(|build| (build, self.position(build)));
        status.rate = self.rate(building.unwrap_or(build));
        let lagging = self.of(build).filter(|it| it.position < it.head);
        status.set_lag_time(lagging.map(|partition| partition.lag_time(now)).max());
        let mut own = self
            .of(build)
            .chain(building.into_iter().flat_map(|build| self.of(build)));
        let worst = self.of(build).map(|partition| partition.state).max();
        status.state = worst.unwrap_or(ConsumerState::Starting);
        status.last_error = own.find_map(|partition| partition.last_error.clone());
        let partitions = self.partitions.iter();
        let stopped = partitions.filter(|(_, it)| it.state == ConsumerState::Stopped);
        let error = |partition: &PartitionStatus| partition.last_error.clone().unwrap_or_default();
        let stopped = stopped
            .map(|((build, _), partition)| (*build, error(partition)))
            .collect();
        status.set_obstacles(stopped, self.promotion_blocked.clone());
        if let Some((state, error)) = &self.failure {
            status.state = *state;
            status.last_error = Some(error.clone());
        }
        if self.has_ended {
            status.state = ConsumerState::Ended;
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

    fn summary(tracker: &StatusTracker) -> ConsumerStatus {
        tracker.watch().borrow().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn status_reports_recent_rate_and_remaining_time() {
        let tracker = StatusTracker::new("a");
        tracker.set_builds(Some(1), &[build(1, 1)]);
        assert_eq!(summary(&tracker).remaining(), Some(Duration::ZERO));
        // The first position has no effect on the rate.
        tracker.update((1, 0), |partition| {
            partition.reset_position(at(1_000_000));
            partition.head = at(1_001_500);
            partition.state = ConsumerState::CatchingUp;
        });
        assert_eq!(
            (summary(&tracker).rate, summary(&tracker).lag()),
            (0.0, 1_500)
        );
        assert_eq!(summary(&tracker).remaining(), None);
        tokio::time::advance(Duration::from_secs(2)).await;
        tracker.update((1, 0), |partition| partition.advance(at(1_000_500)));
        let status = summary(&tracker);
        assert_eq!((status.rate, status.lag()), (250.0, 1_000));
        assert_eq!(status.remaining(), Some(Duration::from_secs(4)));
        tokio::time::advance(Duration::from_secs(1)).await;
        tracker.update((1, 0), |partition| partition.advance(at(1_001_500)));
        assert_eq!(summary(&tracker).rate, 250.0 * 0.9 + 1_000.0 * 0.1);
        assert_eq!(summary(&tracker).remaining(), Some(Duration::ZERO));
        // The rate and the remaining time are those of the build that catches up.
        tracker.set_builds(Some(1), &[build(1, 1), build(2, 1)]);
        tracker.update((2, 0), |partition| {
            partition.state = ConsumerState::CatchingUp;
        });
        tokio::time::advance(Duration::from_secs(1)).await;
        tracker.update((2, 0), |partition| partition.advance(at(500_750)));
        let status = summary(&tracker);
        assert_eq!(status.building, Some((2, at(500_750))));
        assert_eq!(
            status.remaining(),
            Some(Duration::from_secs_f64(500_750.0 / 500_750.0))
        );
    }

    #[test]
    fn status_counts_partitions_without_report() {
        let tracker = StatusTracker::new("a");
        tracker.set_builds(Some(1), &[build(1, 3)]);
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        tracker.update((1, 0), |partition| {
            partition.reset_position(at(9));
            partition.node = Some(one);
            partition.dead_letters = 2;
            partition.state = ConsumerState::Live;
        });
        tracker.update((1, 2), |partition| {
            partition.reset_position(at(7));
            partition.node = Some(two);
            partition.dead_letters = 3;
            partition.state = ConsumerState::OnOtherNode;
            partition.last_error = Some("failed".to_owned());
        });
        let status = summary(&tracker);
        assert_eq!(status.position, Position::ZERO);
        assert_eq!(status.state, ConsumerState::Starting);
        assert_eq!(status.nodes, [Some(one), None, Some(two)]);
        assert_eq!(status.dead_letters, 5);
        assert_eq!(status.last_error.as_deref(), Some("failed"));
        tracker.update((1, 1), |partition| {
            partition.reset_position(at(8));
            partition.state = ConsumerState::Live;
        });
        assert_eq!(
            (summary(&tracker).position, summary(&tracker).state),
            (at(7), ConsumerState::OnOtherNode)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn status_rate_is_that_of_slowest_partition() {
        let tracker = StatusTracker::new("a");
        tracker.set_builds(Some(1), &[build(1, 2)]);
        for partition in 0..2 {
            tracker.update((1, partition), |partition| {
                partition.head = at(10_000);
                partition.state = ConsumerState::CatchingUp;
            });
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        tracker.update((1, 0), |partition| partition.advance(at(2_000)));
        tracker.update((1, 1), |partition| partition.advance(at(1_000)));
        // Each partition passes all events, so several partitions are not faster than one.
        assert_eq!(summary(&tracker).rate, 1_000.0);
        assert_eq!(summary(&tracker).remaining(), Some(Duration::from_secs(9)));
        tracker.update((1, 1), |partition| partition.advance(at(10_000)));
        assert_eq!(summary(&tracker).rate, 2_000.0);
    }

    #[tokio::test(start_paused = true)]
    async fn lag_time_counts_from_last_time_at_head() {
        let tracker = StatusTracker::new("a");
        tracker.set_builds(Some(1), &[build(1, 1)]);
        let hours = 3 * 3_600_000_000;
        let now = Timestamp::now().as_micros();
        tracker.update((1, 0), |partition| {
            partition.reset_position(at(5));
            partition.head = at(5);
            partition.newest = Some(Timestamp::from_micros(now - hours));
        });
        tokio::time::advance(Duration::from_secs(2)).await;
        tracker.update((1, 0), |partition| partition.head = at(6));
        assert_eq!(summary(&tracker).lag_time(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn lag_time_of_a_new_consumer_counts_from_its_start() {
        let tracker = StatusTracker::new("a");
        tracker.set_builds(Some(1), &[build(1, 1)]);
        tracker.update((1, 0), |partition| {
            partition.head = at(4);
            partition.state = ConsumerState::Retrying;
        });
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(summary(&tracker).lag_time(), Duration::from_secs(3));
    }

    #[test]
    fn lag_time_counts_from_last_processed_event() {
        let tracker = StatusTracker::new("a");
        tracker.set_builds(Some(1), &[build(1, 1)]);
        let minute = 60_000_000;
        let now = Timestamp::now().as_micros();
        tracker.update((1, 0), |partition| {
            partition.reset_position(at(3));
            partition.head = at(5);
            partition.newest = Some(Timestamp::from_micros(now - minute));
        });
        let lag_time = summary(&tracker).lag_time();
        assert!((60..75).contains(&lag_time.as_secs()), "{lag_time:?}");
        tracker.update((1, 0), |partition| partition.advance(at(5)));
        assert_eq!(
            (summary(&tracker).lag_time(), summary(&tracker).lag()),
            (Duration::ZERO, 0)
        );
    }
}
