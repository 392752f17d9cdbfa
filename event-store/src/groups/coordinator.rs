//! [`Coordinator`]: the partitions of a group that this server process holds, and the consumers that are connected to it.
//!
//! It is a state machine without I/O and without a clock: the [actor](super::actor) reads the log, writes the documents, and
//! sends the notices to the consumers.

mod answers;
mod assigning;
mod delivery;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::failure::FailureLimits;
use super::held_partition::{HeldPartition, Owner};
use super::partition_state::PartitionState;
use super::session::{Notice, Session};
use super::settings::GroupSettings;
use super::settlement::{MAX_DEAD_LETTERS, PartitionWrite};
use super::window::{Ended, Millis, Offered, SessionId, Window};

/// The size of the events of a group that are in memory, in bytes. One event of each partition may exceed it.
const MAX_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// The partitions and consumers of a group in one server process.
#[derive(Debug)]
pub struct Coordinator<E> {
    settings: GroupSettings,
    partitions: BTreeMap<u16, HeldPartition<E>>,
    sessions: BTreeMap<SessionId, Session>,
    notices: Vec<(SessionId, Notice<E>)>,
    /// The session that received the last event, for a distribution in turn.
    last_session: Option<SessionId>,
    fence: u64,
}

impl<E: Clone> Coordinator<E> {
    /// Creates the coordinator of a group.
    pub fn new(settings: GroupSettings) -> Self {
        Self {
            settings,
            partitions: BTreeMap::new(),
            sessions: BTreeMap::new(),
            notices: Vec::new(),
            last_session: None,
            fence: 0,
        }
    }

    /// Replaces the settings.
    pub fn set_settings(&mut self, settings: GroupSettings) {
        self.settings = settings;
    }

    /// Returns the notices since the last call.
    pub fn take_notices(&mut self) -> Vec<(SessionId, Notice<E>)> {
        std::mem::take(&mut self.notices)
    }

    /// Returns the sessions.
    pub fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.sessions
    }

    /// Returns the partitions that are assigned to a session.
    pub fn partitions_of(&self, session: SessionId) -> Vec<u16> {
        let owned = self.partitions.iter();
        let owned = owned.filter(|(_, held)| held.owner.session() == Some(session));
        owned.map(|(partition, _)| *partition).collect()
    }

    /// Adds a consumer.
    pub fn join(&mut self, session: SessionId, consumer: Session) {
        self.sessions.insert(session, consumer);
        self.rebalance();
    }

    /// Removes a consumer. Its unanswered events are delivered to others.
    pub fn leave(&mut self, session: SessionId, now: Millis) {
        self.sessions.remove(&session);
        let is_exclusive = self.settings.is_exclusive();
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            let owner = self.partitions.get(&partition).map(|held| held.owner);
            if !is_exclusive || owner.is_some_and(|owner| owner.session() == Some(session)) {
                self.release_events(partition, session, now);
            }
            let held = self.partitions.get_mut(&partition);
            let Some(held) = held.filter(|held| held.owner.session() == Some(session)) else {
                continue;
            };
            held.owner = match held.owner {
                Owner::Leaving(_, until) => Owner::Leaving(None, until),
                _ => Owner::Free,
            };
        }
        self.rebalance();
    }

    /// Records a message of a consumer.
    pub fn seen(&mut self, session: SessionId, now: Millis) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.last_seen = now;
        }
    }

    /// Adds the number of events that a consumer can take.
    pub fn add_credit(&mut self, session: SessionId, events: u32) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.credit = session.credit.saturating_add(events);
        }
    }

    /// Returns the consumers that sent no message within their session timeout.
    pub fn silent_sessions(&self, now: Millis) -> Vec<SessionId> {
        let sessions = self.sessions.iter();
        let silent = sessions.filter(|(_, session)| session.deadline() <= now);
        silent.map(|(id, _)| *id).collect()
    }

    /// Adds a partition whose lease was acquired.
    pub fn hold(&mut self, partition: u16, stored: &PartitionState) {
        self.fence = self.fence.max(stored.fence) + 1;
        let held = HeldPartition::new(stored, self.fence);
        self.partitions.insert(partition, held);
        self.rebalance();
    }

    /// Removes a partition whose lease is lost or was released. Unwritten answers do not count.
    pub fn lose(&mut self, partition: u16, reason: &'static str) {
        let Some(held) = self.partitions.remove(&partition) else {
            return;
        };
        let sessions = self.sessions.iter_mut();
        for (id, session) in sessions {
            let in_flight = held.window.in_flight_of(*id) as u32;
            session.in_flight = session.in_flight.saturating_sub(in_flight);
        }
        if let Some(session) = held.owner.session() {
            self.revoked(session, partition, held.fence, reason);
        }
        let answers = held.settlement.lost();
        self.notify_answers(&answers, |fence, positions| Notice::NotSettled {
            partition,
            fence,
            positions,
            reason,
        });
    }

    /// Returns whether `session` has the partition under this fencing token.
    pub fn is_assigned(&mut self, session: SessionId, partition: u16, fence: u64) -> bool {
        self.assigned(session, partition, fence).is_some()
    }

    /// Ends deliveries and pauses, returns and assigns partitions, and returns the partitions whose release is due.
    pub fn tick(&mut self, now: Millis) -> Vec<u16> {
        let mut to_release = Vec::new();
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            let limits = self.limits(partition);
            let Some(held) = self.partitions.get_mut(&partition) else {
                continue;
            };
            let ended = held.window.expire(now, &limits);
            let is_due = held.is_return_due(now);
            let owner = held.owner;
            self.deliveries_ended(partition, ended);
            match owner {
                Owner::Returning(session, _) if is_due => {
                    self.take_back(
                        partition,
                        session,
                        "the partition goes to another consumer",
                        now,
                    );
                }
                Owner::Leaving(session, _) if is_due => {
                    if let Some(session) = session {
                        let reason = "the partition goes to another server process";
                        self.take_back(partition, session, reason, now);
                    }
                    to_release.push(partition);
                }
                _ => {}
            }
        }
        self.start_returns(now);
        self.rebalance();
        to_release
    }

    /// Returns the time of the next call of [`tick`](Self::tick) that has an effect.
    pub fn next_timer(&self) -> Option<Millis> {
        let windows = self
            .partitions
            .values()
            .filter_map(|held| held.window.next_timer());
        let returns = self
            .partitions
            .values()
            .filter_map(HeldPartition::return_deadline);
        let sessions = self.sessions.values().map(Session::deadline);
        windows.chain(returns).chain(sessions).min()
    }

    /// Returns the position after which the log is read next; `None` if no partition has room.
    pub fn next_read(&self) -> Option<u64> {
        let max_bytes = self.max_bytes();
        let windows = self.partitions.values().map(|held| &held.window);
        let with_room = windows.filter(|window| window.has_room(max_bytes));
        with_room.map(Window::examined).min()
    }

    /// Returns the highest position up to which the log was examined.
    pub fn examined(&self) -> u64 {
        let partitions = self.partitions.values();
        partitions
            .map(|held| held.window.examined())
            .max()
            .unwrap_or(0)
    }

    /// Adds a page of events after `after`, which is complete up to `through`.
    pub fn add_page(&mut self, after: u64, events: Vec<(u16, Offered<E>)>, through: u64) {
        let max_bytes = self.max_bytes();
        let follows = |held: &&mut HeldPartition<E>| held.window.examined() >= after;
        let mut blocked = Vec::new();
        for (partition, offered) in events {
            let held = self.partitions.get_mut(&partition).filter(follows);
            let Some(held) = held.filter(|_| !blocked.contains(&partition)) else {
                continue;
            };
            match held.window.has_room(max_bytes) {
                true => held.window.offer(offered),
                false => blocked.push(partition),
            }
        }
        for (partition, held) in &mut self.partitions {
            if held.window.examined() >= after && !blocked.contains(partition) {
                held.window.advance(through);
            }
        }
    }

    /// Returns the partitions and positions of retried dead letters whose events have to be read, at most `limit`.
    pub fn missing_retries(&self, limit: usize) -> Vec<(u16, u64)> {
        let partitions = self.partitions.iter();
        let missing = partitions.flat_map(|(partition, held)| {
            let missing = held.window.missing_retries();
            missing.map(|position| (*partition, position))
        });
        missing.take(limit).collect()
    }

    /// Adds the event of a retried dead letter; `None` if the log does not have it.
    pub fn add_retry(&mut self, partition: u16, position: u64, offered: Option<Offered<E>>) {
        if let Some(held) = self.partitions.get_mut(&partition) {
            match offered {
                Some(offered) => held.window.offer_retry(offered),
                None => {
                    held.window.drop_retry(position);
                    held.settlement.touch();
                }
            }
        }
    }

    /// Returns whether answers, dead letters or attempts have to be written.
    pub fn has_changes(&self) -> bool {
        let mut partitions = self.partitions.values();
        partitions.any(|held| held.settlement.is_changed())
    }

    /// Begins the write of the changed partitions; of those that only moved, too, if `with_moved` is set.
    pub fn begin_writes(&mut self, holder: Uuid, with_moved: bool) -> Vec<PartitionWrite> {
        let mut writes = Vec::new();
        for (&partition, held) in &mut self.partitions {
            let moved = with_moved && held.settlement.has_moved(held.window.checkpoint());
            if moved || held.settlement.is_changed() {
                let begun = held.settlement.begin(&held.window, held.fence, holder);
                let (state, dead_letters) = begun;
                writes.push(PartitionWrite {
                    partition,
                    state,
                    dead_letters,
                });
            }
        }
        writes
    }

    /// Confirms the answers of a write that was made.
    pub fn committed(&mut self, partition: u16) {
        if let Some(held) = self.partitions.get_mut(&partition) {
            let answers = held.settlement.committed(&mut held.window);
            self.confirm(partition, &answers);
        }
    }

    /// Continues with the state that is stored, after a request or an unknown outcome of a write.
    pub fn reloaded(&mut self, partition: u16, stored: &PartitionState) {
        if let Some(held) = self.partitions.get_mut(&partition) {
            let answers = held.settlement.reloaded(&mut held.window, stored);
            self.confirm(partition, &answers);
        }
    }

    /// Makes the changes of a failed write pending again.
    pub fn write_failed(&mut self) {
        for held in self.partitions.values_mut() {
            held.settlement.restore();
        }
    }

    /// Returns the position, the number of settled events after it, the dead letters and the fence of a partition.
    pub fn partition(&self, partition: u16) -> Option<&HeldPartition<E>> {
        self.partitions.get(&partition)
    }

    fn limits(&self, partition: u16) -> FailureLimits {
        let held = self.partitions.get(&partition);
        let is_full = held.is_some_and(|held| held.settlement.dead_letters() >= MAX_DEAD_LETTERS);
        self.settings.failure_limits(is_full)
    }

    fn max_bytes(&self) -> usize {
        MAX_GROUP_BYTES / self.partitions.len().max(1)
    }

    fn assigned(
        &mut self,
        session: SessionId,
        partition: u16,
        fence: u64,
    ) -> Option<&mut HeldPartition<E>> {
        let is_exclusive = self.settings.is_exclusive();
        let held = self.partitions.get_mut(&partition)?;
        let is_owner = !is_exclusive || held.owner.session() == Some(session);
        (is_owner && held.fence == fence).then_some(held)
    }

    fn release_events(&mut self, partition: u16, session: SessionId, now: Millis) {
        let limits = self.limits(partition);
        if let Some(held) = self.partitions.get_mut(&partition) {
            let ended = held.window.release(session, &limits, now);
            self.deliveries_ended(partition, ended);
        }
    }

    fn deliveries_ended(&mut self, partition: u16, ended: Vec<Ended>) {
        let Some(held) = self.partitions.get_mut(&partition) else {
            return;
        };
        for Ended {
            session,
            dead_letter,
        } in ended
        {
            held.settlement.touch();
            if let Some(session) = self.sessions.get_mut(&session) {
                session.delivery_ended();
            }
            if let Some(draft) = dead_letter {
                held.settlement.dead_letter(draft);
            }
        }
    }

    fn revoked(&mut self, session: SessionId, partition: u16, fence: u64, reason: &'static str) {
        let revoked = Notice::Revoked {
            partition,
            fence,
            reason,
        };
        self.notices.push((session, revoked));
    }
}
