//! Failures: events that a consumer could not process, did not answer, or was lost with.

use super::{
    DeadLetterDraft, Ended, EventPhase, Millis, NotInFlight, SessionId, Window, WindowEntry,
};
use crate::groups::failure::{EventFailure, FailureLimits, Verdict};

/// The number of lost consumers after which an event becomes a dead letter: it may be the reason.
const MAX_INTERRUPTED: u32 = 20;

impl<E: Clone> Window<E> {
    /// Records that `session` could not process the event at `position`. Returns whether it was in flight.
    ///
    /// # Errors
    /// Returns [`NotInFlight`] if the event is settled, or `session` is not the last one that received it.
    pub fn fail(
        &mut self,
        position: u64,
        session: SessionId,
        failure: EventFailure,
        limits: &FailureLimits,
        now: Millis,
    ) -> Result<(bool, Option<DeadLetterDraft>), NotInFlight> {
        let was_in_flight = self.was_in_flight(position, session)?;
        Ok((
            was_in_flight,
            self.record_failure(position, failure, limits, now),
        ))
    }

    /// Takes the events back from `session`. Its answers do not count any more.
    pub fn release(
        &mut self,
        session: SessionId,
        limits: &FailureLimits,
        now: Millis,
    ) -> Vec<Ended> {
        let had = |entry: &&mut WindowEntry<E>| entry.last == Some(session);
        let mut taken = Vec::new();
        for entry in self.entries.values_mut().filter(had) {
            entry.last = None;
            if let EventPhase::InFlight(_, deadline) = entry.phase {
                self.timers.remove(&(deadline, entry.offered.position));
                entry.attempts.interrupted += 1;
                entry.phase = EventPhase::Ready;
                self.ready.insert(entry.offered.position);
                taken.push((entry.offered.position, entry.attempts.interrupted));
            }
        }
        let ended = taken.into_iter().map(|(position, interrupted)| {
            let is_suspect = interrupted >= MAX_INTERRUPTED;
            let dead_letter = is_suspect.then(|| {
                let reason = format!("{interrupted} consumers were lost while they had the event");
                self.record_failure(position, EventFailure::dead_letter(reason), limits, now)
            });
            let dead_letter = dead_letter.flatten();
            Ended {
                session,
                dead_letter,
            }
        });
        ended.collect()
    }

    /// Ends the deliveries that were not answered in time, and the pauses that are over.
    pub fn expire(&mut self, now: Millis, limits: &FailureLimits) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(&(at, position)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, position));
            let Some(entry) = self.entries.get_mut(&position) else {
                continue;
            };
            match entry.phase {
                EventPhase::InFlight(session, _) => {
                    let failure = EventFailure::retry("the consumer did not answer in time");
                    let dead_letter = self.record_failure(position, failure, limits, now);
                    ended.push(Ended {
                        session,
                        dead_letter,
                    });
                }
                EventPhase::BackingOff(_) => {
                    entry.phase = EventPhase::Ready;
                    self.ready.insert(position);
                }
                EventPhase::Waiting | EventPhase::Ready => {}
            }
        }
        ended
    }

    fn record_failure(
        &mut self,
        position: u64,
        failure: EventFailure,
        limits: &FailureLimits,
        now: Millis,
    ) -> Option<DeadLetterDraft> {
        let entry = self.entries.get_mut(&position)?;
        entry.attempts.failed = entry.attempts.failed.saturating_add(1);
        let attempts = entry.attempts.failed;
        match limits.verdict(&failure, attempts) {
            Verdict::DeadLetter => {
                self.remove(position);
                Some(DeadLetterDraft {
                    position,
                    attempts,
                    reason: failure.reason,
                })
            }
            Verdict::RetryAfter(pause) => {
                if let EventPhase::InFlight(_, at) | EventPhase::BackingOff(at) = entry.phase {
                    self.timers.remove(&(at, position));
                }
                self.ready.remove(&position);
                let until = now.saturating_add(pause);
                entry.phase = EventPhase::BackingOff(until);
                self.timers.insert((until, position));
                None
            }
        }
    }
}
