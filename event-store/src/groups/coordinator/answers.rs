//! Answers: events that consumers have processed, or could not process.

use std::collections::BTreeMap;

use super::Coordinator;
use crate::groups::failure::EventFailure;
use crate::groups::session::Notice;
use crate::groups::settlement::Answer;
use crate::groups::window::{Millis, SessionId};

/// The reason of answers for a partition that the consumer does not have.
const NOT_ASSIGNED: &str = "the partition is not assigned to the consumer under this fencing token";
/// The reason of answers for events that are settled, or that another consumer has.
const NOT_IN_FLIGHT: &str = "the event is settled, or was delivered to another consumer";

impl<E: Clone> Coordinator<E> {
    /// Settles events for a consumer.
    pub fn acknowledge(
        &mut self,
        session: SessionId,
        partition: u16,
        fence: u64,
        positions: &[u64],
    ) {
        let Some(held) = self.assigned(session, partition, fence) else {
            self.not_settled(session, partition, fence, positions.to_vec(), NOT_ASSIGNED);
            return;
        };
        let (mut ended, mut rejected) = (0, Vec::new());
        for &position in positions {
            match held.window.settle(position, session) {
                Ok(was_in_flight) => {
                    ended += u32::from(was_in_flight);
                    held.settlement.answer(Answer {
                        session,
                        fence,
                        position,
                    });
                }
                Err(_) => rejected.push(position),
            }
        }
        if let Some(session) = self.sessions.get_mut(&session) {
            session.in_flight = session.in_flight.saturating_sub(ended);
        }
        if !rejected.is_empty() {
            self.not_settled(session, partition, fence, rejected, NOT_IN_FLIGHT);
        }
    }

    /// Records that a consumer could not process an event.
    pub fn reject(
        &mut self,
        session: SessionId,
        (partition, fence, position): (u16, u64, u64),
        failure: EventFailure,
        now: Millis,
    ) {
        let limits = self.limits(partition);
        let Some(held) = self.assigned(session, partition, fence) else {
            self.not_settled(session, partition, fence, vec![position], NOT_ASSIGNED);
            return;
        };
        match held.window.fail(position, session, failure, &limits, now) {
            Ok((was_in_flight, dead_letter)) => {
                held.settlement.touch();
                if let Some(draft) = dead_letter {
                    held.settlement.dead_letter(draft);
                    held.settlement.answer(Answer {
                        session,
                        fence,
                        position,
                    });
                }
                let session = self.sessions.get_mut(&session);
                if let Some(session) = session.filter(|_| was_in_flight) {
                    session.delivery_ended();
                }
            }
            Err(_) => self.not_settled(session, partition, fence, vec![position], NOT_IN_FLIGHT),
        }
    }

    fn not_settled(
        &mut self,
        session: SessionId,
        partition: u16,
        fence: u64,
        positions: Vec<u64>,
        reason: &'static str,
    ) {
        let notice = Notice::NotSettled {
            partition,
            fence,
            positions,
            reason,
        };
        self.notices.push((session, notice));
    }

    /// Confirms answers that are stored.
    pub fn confirm(&mut self, partition: u16, answers: &[Answer]) {
        self.notify_answers(answers, |fence, positions| Notice::Settled {
            partition,
            fence,
            positions,
        });
    }

    /// Adds one notice for each session and fencing token.
    pub fn notify_answers(
        &mut self,
        answers: &[Answer],
        notice: impl Fn(u64, Vec<u64>) -> Notice<E>,
    ) {
        let mut positions: BTreeMap<(SessionId, u64), Vec<u64>> = BTreeMap::new();
        for answer in answers {
            let key = (answer.session, answer.fence);
            positions.entry(key).or_default().push(answer.position);
        }
        for ((session, fence), positions) in positions {
            self.notices.push((session, notice(fence, positions)));
        }
    }
}
