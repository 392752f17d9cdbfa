//! Assignments: the partitions of this process go to its consumers, and back.

use std::collections::BTreeMap;

use super::Coordinator;
use crate::groups::assignment;
use crate::groups::held_partition::Owner;
use crate::groups::session::Notice;
use crate::groups::window::{Millis, SessionId};

/// The time in which a consumer can answer its deliveries of a partition that goes to another consumer.
const RETURN_TIME: Millis = 5_000;

impl<E: Clone> Coordinator<E> {
    /// Gives up a partition for another server process, after its consumer has answered its deliveries.
    pub fn start_release(&mut self, partition: u16, now: Millis) {
        if let Some(held) = self.partitions.get_mut(&partition)
            && !matches!(held.owner, Owner::Leaving(..))
        {
            held.owner = Owner::Leaving(held.owner.session(), now + RETURN_TIME);
        }
    }

    /// Takes a partition from its consumer, whose answers do not count any more.
    pub fn take_back(
        &mut self,
        partition: u16,
        session: SessionId,
        reason: &'static str,
        now: Millis,
    ) {
        self.release_events(partition, session, now);
        let Some(held) = self.partitions.get_mut(&partition) else {
            return;
        };
        let fence = held.fence;
        held.owner = match held.owner {
            Owner::Leaving(_, until) => Owner::Leaving(None, until),
            _ => Owner::Free,
        };
        self.revoked(session, partition, fence, reason);
    }

    /// Assigns the free partitions.
    pub fn rebalance(&mut self) {
        if !self.settings.is_exclusive() {
            return;
        }
        let free = self.partitions.iter();
        let free = free.filter(|(_, held)| held.owner == Owner::Free);
        let free: Vec<u16> = free.map(|(partition, _)| *partition).collect();
        if free.is_empty() {
            return;
        }
        for (partition, session) in assignment::plan(&self.owned(), &free, 0).assign {
            let Some(held) = self.partitions.get_mut(&partition) else {
                continue;
            };
            self.fence = self.fence.max(held.fence) + 1;
            held.fence = self.fence;
            held.owner = Owner::Session(session);
            held.settlement.touch();
            let assigned = Notice::Assigned {
                partition,
                fence: held.fence,
                position: held.window.checkpoint(),
            };
            self.notices.push((session, assigned));
        }
    }

    /// Asks consumers with more than their share to return partitions.
    pub fn start_returns(&mut self, now: Millis) {
        if !self.settings.is_exclusive() {
            return;
        }
        let returning = self.partitions.values();
        let returning = returning.filter(|held| matches!(held.owner, Owner::Returning(..)));
        let returning = returning.count();
        for partition in assignment::plan(&self.owned(), &[], returning).take_back {
            if let Some(held) = self.partitions.get_mut(&partition)
                && let Owner::Session(session) = held.owner
            {
                held.owner = Owner::Returning(session, now + RETURN_TIME);
            }
        }
    }

    fn owned(&self) -> BTreeMap<SessionId, Vec<u16>> {
        let sessions = self.sessions.keys();
        let mut owned: BTreeMap<_, _> = sessions.map(|id| (*id, Vec::new())).collect();
        for (partition, held) in &self.partitions {
            if let Owner::Session(session) = held.owner {
                owned.entry(session).or_default().push(*partition);
            }
        }
        owned
    }
}
