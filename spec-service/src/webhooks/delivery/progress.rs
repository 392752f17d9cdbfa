//! [`Progress`]: the events that a webhook has received, and those that failed.
//!
//! The events of one specification are delivered in order. An event that fails moves its specification to a *lane* of
//! its own: the later events of the specification wait there, and other specifications continue. All events are read
//! from the log, so a lane needs only two positions.

use std::collections::BTreeMap;
use std::time::Duration;

use factum::{Position, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::schedule::RetrySchedule;

/// The number of lanes from which on no further events are read.
pub const MAX_LANES: usize = 1_000;

/// The number of attempts of an event in a replay.
const REPLAY_ATTEMPTS: u32 = 8;

/// The events that a webhook has received, and those that failed. This is what survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// All events up to this position were received, or wait in a lane.
    pub position: Position,
    /// The specifications whose events wait, by their ids.
    #[serde(default)]
    pub lanes: BTreeMap<Uuid, Lane>,
    /// The replays that are not finished, oldest first.
    #[serde(default)]
    pub replays: Vec<ReplayRange>,
    /// The revision of the webhook up to which its requests were carried out.
    #[serde(default)]
    pub revision: u64,
    /// The number of the next entry of the delivery log.
    #[serde(default)]
    pub next_entry: u64,
    /// The time of the last delivery that was received.
    #[serde(default)]
    pub last_success: Option<Timestamp>,
}

/// The events of one specification that wait after a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The position from which on no event was received.
    pub next: Position,
    /// The position of the last event that waits.
    pub covered: Position,
    /// The failed attempts of the first event.
    pub failures: Failures,
}

/// Stored events that are delivered once more, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayRange {
    /// The position of the next event.
    pub next: Position,
    /// The position of the last event.
    pub to: Position,
    /// The failed attempts of the next event.
    pub failures: Failures,
}

/// The failed attempts of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Failures {
    /// The number of failed attempts.
    pub attempts: u32,
    /// The time of the first one.
    pub since: Option<Timestamp>,
    /// The time of the next attempt. `None` means at once.
    pub due: Option<Timestamp>,
}

/// A failed attempt to deliver an event.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt {
    /// The time of the failure.
    pub at: Timestamp,
    /// The random part of the pause, from 0 to 1.
    pub random: f64,
    /// The pause that the receiver asked for.
    pub ask: Option<Duration>,
}

/// The consequence of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureConsequence {
    /// The event is delivered again later.
    Retry,
    /// The event is not delivered again, because others were received meanwhile.
    GiveUp,
    /// The webhook must be disabled, because nothing was received meanwhile. The event waits.
    Disable,
}

impl Failures {
    /// Returns whether the next attempt is due.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Records a failed attempt; returns `false` if it was the last one.
    fn record(&mut self, attempt: FailedAttempt, schedule: &RetrySchedule) -> bool {
        self.attempts = self.attempts.saturating_add(1);
        let since = *self.since.get_or_insert(attempt.at);
        let failing = attempt.at.since(since);
        let pause = schedule.pause(self.attempts, failing, attempt.random, attempt.ask);
        self.due = pause.map(|pause| attempt.at + pause);
        pause.is_some()
    }
}

impl Progress {
    /// Creates the progress of a webhook that receives the events after `position`.
    #[must_use]
    pub fn starting_after(position: Position, revision: u64) -> Self {
        Self {
            position,
            lanes: BTreeMap::new(),
            replays: Vec::new(),
            revision,
            next_entry: 1,
            last_success: None,
        }
    }

    /// Adds the event at `position` to the lane of `spec`, and returns `false` if there is no lane.
    pub fn cover(&mut self, spec: Uuid, position: Position) -> bool {
        match self.lanes.get_mut(&spec) {
            None => false,
            Some(lane) => {
                lane.covered = lane.covered.max(position);
                true
            }
        }
    }

    /// Records that the event of `spec` at `position` was received, or need not be.
    pub fn succeeded(&mut self, spec: Uuid, position: Position, received_at: Option<Timestamp>) {
        self.last_success = received_at.max(self.last_success);
        self.advance(spec, position);
    }

    /// Records a failed attempt to deliver the event of `spec` at `position`.
    pub fn failed(
        &mut self,
        spec: Uuid,
        position: Position,
        attempt: FailedAttempt,
        schedule: &RetrySchedule,
    ) -> FailureConsequence {
        let lane = self.lanes.entry(spec).or_insert_with(|| Lane {
            next: position,
            covered: position,
            failures: Failures::default(),
        });
        if lane.failures.record(attempt, schedule) {
            return FailureConsequence::Retry;
        }
        if self.last_success > lane.failures.since {
            self.advance(spec, position);
            return FailureConsequence::GiveUp;
        }
        lane.failures.due = None;
        FailureConsequence::Disable
    }

    /// Continues the lane of `spec` after `position`. The lane ends with its last event.
    fn advance(&mut self, spec: Uuid, position: Position) {
        let Some(lane) = self.lanes.get_mut(&spec) else {
            return;
        };
        lane.next = lane.next.max(position.plus(1));
        lane.failures = Failures::default();
        if lane.next > lane.covered {
            self.lanes.remove(&spec);
        }
    }

    /// Ends the lane of `spec`, because the log has no further event of it.
    pub fn end_lane(&mut self, spec: Uuid) {
        self.lanes.remove(&spec);
    }

    /// Starts to deliver the events of a range once more.
    pub fn replay(&mut self, from: Position, to: Position) {
        self.replays.push(ReplayRange {
            next: from,
            to,
            failures: Failures::default(),
        });
    }

    /// Records that the first replay has delivered the event at `position`, or need not.
    pub fn replayed(&mut self, position: Position) {
        if let Some(replay) = self.replays.first_mut() {
            replay.next = position.plus(1);
            replay.failures = Failures::default();
            if replay.next > replay.to {
                self.replays.remove(0);
            }
        }
    }

    /// Records a failed attempt of the first replay. It continues with the next event after some attempts.
    pub fn replay_failed(
        &mut self,
        position: Position,
        attempt: FailedAttempt,
        schedule: &RetrySchedule,
    ) -> FailureConsequence {
        let Some(replay) = self.replays.first_mut() else {
            return FailureConsequence::GiveUp;
        };
        replay.next = position;
        if replay.failures.record(attempt, schedule) && replay.failures.attempts < REPLAY_ATTEMPTS {
            return FailureConsequence::Retry;
        }
        self.replayed(position);
        FailureConsequence::GiveUp
    }

    /// Begins again after the webhook was enabled: everything is due, and no event has failed.
    pub fn restart(&mut self, skip_to: Option<Position>) {
        if let Some(position) = skip_to {
            self.position = self.position.max(position);
            self.lanes.clear();
            self.replays.clear();
        }
        for lane in self.lanes.values_mut() {
            lane.failures = Failures::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use factum::{Position, Timestamp};
    use uuid::Uuid;

    use super::{FailedAttempt, FailureConsequence, Failures, Progress, REPLAY_ATTEMPTS};
    use crate::webhooks::delivery::schedule::RetrySchedule;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    fn start() -> Timestamp {
        Timestamp::from_micros(1_000_000_000)
    }

    fn attempt(after: Duration) -> FailedAttempt {
        FailedAttempt {
            at: start() + after,
            random: 1.0,
            ask: None,
        }
    }

    fn fail(
        progress: &mut Progress,
        spec: Uuid,
        position: u64,
        after: Duration,
    ) -> FailureConsequence {
        let schedule = RetrySchedule::default();
        progress.failed(spec, at(position), attempt(after), &schedule)
    }

    #[test]
    fn failed_event_holds_back_its_own_spec_only() {
        let mut progress = Progress::starting_after(at(10), 1);
        assert_eq!(
            fail(&mut progress, A, 11, Duration::ZERO),
            FailureConsequence::Retry
        );
        assert!(progress.cover(A, at(13)) && !progress.cover(B, at(14)));
        progress.succeeded(A, at(11), Some(start()));
        assert_eq!(progress.lanes[&A].next, at(12));
        assert_eq!(progress.lanes[&A].failures, Failures::default());
        // An event that arrives while the lane catches up waits, too.
        assert!(progress.cover(A, at(15)));
        progress.succeeded(A, at(13), Some(start()));
        assert!(progress.cover(A, at(15)));
        progress.succeeded(A, at(15), Some(start()));
        assert!(!progress.cover(A, at(16)));
        assert!(progress.lanes.is_empty());
    }

    #[test]
    fn event_is_given_up_only_if_others_were_received() {
        let mut progress = Progress::starting_after(at(0), 1);
        fail(&mut progress, A, 1, Duration::ZERO);
        progress.cover(A, at(2));
        assert_eq!(
            fail(&mut progress, A, 1, 3 * DAY),
            FailureConsequence::Disable
        );
        assert_eq!(progress.lanes[&A].next, at(1));
        progress.restart(None);
        assert_eq!(
            fail(&mut progress, A, 1, 4 * DAY),
            FailureConsequence::Retry
        );
        progress.succeeded(B, at(3), Some(start() + 5 * DAY));
        assert_eq!(
            fail(&mut progress, A, 1, 7 * DAY),
            FailureConsequence::GiveUp
        );
        assert_eq!(progress.lanes[&A].next, at(2));
    }

    #[test]
    fn skipped_events_leave_nothing_behind() {
        let mut progress = Progress::starting_after(at(0), 1);
        fail(&mut progress, A, 1, Duration::ZERO);
        progress.replay(at(1), at(1));
        progress.restart(Some(at(9)));
        assert_eq!(progress, Progress::starting_after(at(9), 1));
    }

    #[test]
    fn replay_continues_after_some_attempts() {
        let mut progress = Progress::starting_after(at(9), 1);
        progress.replay(at(3), at(5));
        let schedule = RetrySchedule::default();
        for number in 1..=REPLAY_ATTEMPTS {
            let failed = progress.replay_failed(at(3), attempt(Duration::ZERO), &schedule);
            let expected = match number {
                REPLAY_ATTEMPTS => FailureConsequence::GiveUp,
                _ => FailureConsequence::Retry,
            };
            assert_eq!(failed, expected, "attempt {number}");
        }
        assert_eq!(progress.replays[0].next, at(4));
        progress.replayed(at(5));
        assert!(progress.replays.is_empty());
        assert_eq!(progress.position, at(9));
    }

    #[test]
    fn progress_survives_as_json() {
        let mut progress = Progress::starting_after(at(0), 1);
        fail(&mut progress, A, 1, Duration::ZERO);
        progress.replay(at(1), at(2));
        let json = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&json).unwrap(), progress);
    }
}
