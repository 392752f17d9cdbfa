//! Deliveries: which event goes to which consumer next.
//!
//! If partitions belong to consumers, each consumer gets the first ready event of its partitions. Otherwise, the first ready
//! event of all partitions goes to the consumer that the distribution selects.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Coordinator;
use crate::groups::held_partition::Owner;
use crate::groups::session::Notice;
use crate::groups::settings::Distribution;
use crate::groups::window::{Millis, SessionId};

impl<E: Clone> Coordinator<E> {
    /// Delivers the ready events, as far as the consumers can take them.
    ///
    /// `room` returns the number of messages that fit into the queue of a consumer.
    pub fn deliver(&mut self, now: Millis, room: impl Fn(SessionId) -> usize) {
        let mut capacities = BTreeMap::new();
        for (id, session) in &self.sessions {
            let capacity = session.capacity(self.settings.max_in_flight);
            capacities.insert(*id, (capacity as usize).min(room(*id)));
        }
        if capacities.values().all(|capacity| *capacity == 0) {
            return;
        }
        match self.settings.distribution {
            Distribution::Exclusive => self.deliver_to_owners(now, &capacities),
            _ => self.deliver_to_any(now, capacities),
        }
    }

    fn deliver_to_owners(&mut self, now: Millis, capacities: &BTreeMap<SessionId, usize>) {
        for (&session, &capacity) in capacities.iter().filter(|(_, capacity)| **capacity > 0) {
            let mut first = BinaryHeap::new();
            for (partition, held) in &self.partitions {
                if held.owner == Owner::Session(session) {
                    let ready = held.window.ready().take(capacity);
                    first.extend(ready.map(|position| Reverse((position, *partition))));
                }
            }
            for _ in 0..capacity {
                let Some(Reverse((position, partition))) = first.pop() else {
                    break;
                };
                self.deliver_one(partition, position, session, now);
            }
        }
    }

    fn deliver_to_any(&mut self, now: Millis, mut capacities: BTreeMap<SessionId, usize>) {
        let partitions = self.partitions.iter();
        let open = partitions.filter(|(_, held)| !matches!(held.owner, Owner::Leaving(..)));
        let mut ready: Vec<_> = open
            .flat_map(|(partition, held)| {
                let pins = |position| held.window.pin(position).unwrap_or_default();
                let ready = held.window.ready();
                ready.map(move |position| (position, *partition, pins(position)))
            })
            .collect();
        ready.sort_unstable();
        for (position, partition, pin) in ready {
            if capacities.values().all(|capacity| *capacity == 0) {
                return;
            }
            if let Some(session) = self.select(pin, &capacities) {
                self.deliver_one(partition, position, session, now);
                if let Some(capacity) = capacities.get_mut(&session) {
                    *capacity -= 1;
                }
            }
        }
    }

    /// Selects the consumer of an event that belongs to no consumer.
    fn select(&mut self, pin: u64, capacities: &BTreeMap<SessionId, usize>) -> Option<SessionId> {
        let can_take = |session: &SessionId| capacities.get(session).is_some_and(|left| *left > 0);
        match self.settings.distribution {
            Distribution::Exclusive => None,
            Distribution::First => capacities.keys().copied().find(can_take),
            Distribution::RoundRobin => {
                let later = capacities
                    .keys()
                    .filter(|id| Some(**id) > self.last_session);
                let mut in_turn = later.chain(capacities.keys()).copied();
                self.last_session = in_turn.find(can_take);
                self.last_session
            }
            Distribution::PinnedByStream | Distribution::PinnedByCorrelationId => {
                let index = (pin % capacities.len().max(1) as u64) as usize;
                capacities.keys().copied().nth(index).filter(can_take)
            }
        }
    }

    fn deliver_one(&mut self, partition: u16, position: u64, session: SessionId, now: Millis) {
        let deadline = now.saturating_add(self.settings.ack_timeout);
        let Some(held) = self.partitions.get_mut(&partition) else {
            return;
        };
        let Some((event, attempt)) = held.window.deliver(position, session, deadline) else {
            return;
        };
        let delivery = Notice::Delivery {
            partition,
            fence: held.fence,
            position,
            attempt,
            event,
        };
        self.notices.push((session, delivery));
        if let Some(session) = self.sessions.get_mut(&session) {
            // The maximum means that the consumer does not use credit.
            if session.credit < u32::MAX {
                session.credit = session.credit.saturating_sub(1);
            }
            session.in_flight += 1;
        }
    }
}
