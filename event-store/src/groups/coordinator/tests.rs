//! The coordinator against a simple model, with random consumers, failures, crashes and writes.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::groups::failure::EventFailure;
use crate::groups::partition_key::partition_of;
use crate::groups::settings::Distribution;

const PARTITIONS: u16 = 4;
const EVENTS: u64 = 60;
const MAX_ATTEMPTS: u32 = 3;
const NODE: Uuid = Uuid::from_u128(7);

/// A delivery, as a consumer knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Received {
    session: SessionId,
    partition: u16,
    fence: u64,
    position: u64,
}

/// A group on one server process that may crash, and its consumers.
struct Simulation {
    random: fastrand::Rng,
    keys: Vec<String>,
    poison: BTreeSet<u64>,
    coordinator: Coordinator<u64>,
    now: Millis,
    sessions: u64,
    received: Vec<Received>,
    /// The stored states of the partitions, and the stored dead letters.
    stored: BTreeMap<u16, PartitionState>,
    dead_letters: BTreeSet<u64>,
    /// The accepted answers of this process that are not stored yet, and the retried dead letters.
    accepted: BTreeSet<u64>,
    /// All answers that were ever accepted.
    answered: BTreeSet<u64>,
    retried: BTreeSet<u64>,
    confirmed: BTreeMap<u64, u32>,
    retries: BTreeMap<u64, u32>,
}

impl Simulation {
    fn new(seed: u64, distribution: Distribution) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let keys: Vec<String> = (0..EVENTS).map(|_| random.u8(0..8).to_string()).collect();
        let poison = (1..=EVENTS).filter(|_| random.u8(0..12) == 0).collect();
        let stored = (0..PARTITIONS).map(|partition| (partition, PartitionState::default()));
        let settings = GroupSettings {
            partitions: PARTITIONS,
            distribution,
            max_attempts: MAX_ATTEMPTS,
            max_in_flight: 5,
            ack_timeout: 200,
            min_backoff: 10,
            max_backoff: 50,
            ..GroupSettings::default()
        };
        let mut simulation = Self {
            random,
            keys,
            poison,
            coordinator: Coordinator::new(settings),
            now: 0,
            sessions: 0,
            received: Vec::new(),
            stored: stored.collect(),
            dead_letters: BTreeSet::new(),
            accepted: BTreeSet::new(),
            answered: BTreeSet::new(),
            retried: BTreeSet::new(),
            confirmed: BTreeMap::new(),
            retries: BTreeMap::new(),
        };
        simulation.crash();
        simulation
    }

    fn key(&self, position: u64) -> &str {
        &self.keys[position as usize - 1]
    }

    fn partition(&self, position: u64) -> u16 {
        partition_of(Some(self.key(position)), position, PARTITIONS)
    }

    fn offered(&self, position: u64) -> Offered<u64> {
        Offered {
            position,
            key: Some(self.key(position).into()),
            size: 1,
            pin: position,
            event: position,
        }
    }

    fn is_stored(&self, position: u64) -> bool {
        let state = &self.stored[&self.partition(position)];
        let is_settled = position <= state.position || state.settled.contains(&position);
        is_settled && !state.retries.contains(&position)
    }

    fn settled_or_dead(&self, position: u64) -> bool {
        self.is_stored(position) || self.accepted.contains(&position)
    }

    /// Starts another process with the stored states. Consumers and unstored answers are lost.
    fn crash(&mut self) {
        let settings = self.coordinator.settings.clone();
        self.coordinator = Coordinator::new(settings);
        for (partition, state) in &self.stored {
            self.coordinator.hold(*partition, state);
        }
        self.accepted.clear();
        self.retried = self
            .stored
            .values()
            .flat_map(|state| state.retries.clone())
            .collect();
        self.received.clear();
    }

    fn join(&mut self) {
        self.sessions += 1;
        let session = Session {
            credit: 1_000,
            in_flight: 0,
            max_in_flight: u32::MAX,
            last_seen: self.now,
            timeout: 1_000_000,
        };
        self.coordinator.join(SessionId(self.sessions), session);
    }

    fn a_session(&mut self) -> Option<SessionId> {
        let sessions: Vec<_> = self.coordinator.sessions().keys().copied().collect();
        self.random.choice(sessions)
    }

    fn read(&mut self) {
        for (partition, position) in self.coordinator.missing_retries(3) {
            let offered = self.offered(position);
            self.coordinator
                .add_retry(partition, position, Some(offered));
        }
        let Some(after) = self.coordinator.next_read() else {
            return;
        };
        let through = (after + self.random.u64(1..8)).min(EVENTS);
        let page = (after + 1..=through).map(|at| (self.partition(at), self.offered(at)));
        let page = page.collect();
        self.coordinator.add_page(after, page, through);
    }

    fn answer(&mut self) {
        let Some(received) = self.random.choice(self.received.clone()) else {
            return;
        };
        let Received {
            session,
            partition,
            fence,
            position,
        } = received;
        self.coordinator.notices.clear();
        if self.poison.contains(&position) || self.random.u8(0..20) == 0 {
            let delivery = (partition, fence, position);
            let failure = match self.random.bool() {
                true => EventFailure::retry("retry"),
                // Only poison events are rejected for good.
                false if self.poison.contains(&position) => EventFailure::dead_letter("poison"),
                false => return,
            };
            self.coordinator
                .reject(session, delivery, failure, self.now);
        } else {
            self.coordinator
                .acknowledge(session, partition, fence, &[position]);
        }
        let notices = self.coordinator.take_notices();
        let is_rejected = notices
            .iter()
            .any(|(_, notice)| matches!(notice, Notice::NotSettled { .. }));
        let held = self.coordinator.partition(partition);
        let is_settled = held.is_some_and(|held| !held.window.contains(position));
        if !is_rejected && is_settled {
            self.accepted.insert(position);
            self.answered.insert(position);
            self.retried.remove(&position);
        }
        self.received
            .retain(|other| *other != received || self.random.bool());
    }

    fn deliver(&mut self) {
        self.coordinator.deliver(self.now, |_| 3);
        for (session, notice) in self.coordinator.take_notices() {
            let Notice::Delivery {
                partition,
                fence,
                position,
                ..
            } = notice
            else {
                continue;
            };
            let is_retried = self.retried.contains(&position);
            assert!(
                is_retried || !self.settled_or_dead(position),
                "the settled event {position} is delivered"
            );
            let key = self.key(position);
            let earlier = (1..position).filter(|at| self.key(at.to_owned()) == key);
            for at in earlier.filter(|at| !is_retried && !self.retried.contains(at)) {
                let is_over = self.settled_or_dead(at) || self.is_lost(at);
                assert!(is_over, "{position} is delivered before {at}");
            }
            self.received.push(Received {
                session,
                partition,
                fence,
                position,
            });
        }
    }

    fn write(&mut self) {
        let writes = self.coordinator.begin_writes(NODE, true);
        if writes.is_empty() {
            return;
        }
        // The outcome: stored and known, stored and not known, not stored.
        let outcome = self.random.u8(0..6);
        if outcome != 5 {
            for write in &writes {
                self.store(write);
            }
        }
        match outcome {
            0..=2 => {
                for write in &writes {
                    self.coordinator.committed(write.partition);
                }
                self.confirm();
            }
            3 => self.crash(),
            _ => self.reload(),
        }
    }

    fn store(&mut self, write: &PartitionWrite) {
        let state = &write.state;
        for position in 1..=EVENTS {
            let is_here = self.partition(position) == write.partition;
            let is_settled = position <= state.position || state.settled.contains(&position);
            if is_here && is_settled && !state.retries.contains(&position) {
                let was = self.is_stored(position);
                assert!(was || self.accepted.contains(&position) || self.is_lost(position));
            }
        }
        for draft in &write.dead_letters {
            assert!(self.dead_letters.insert(draft.position), "{draft:?} twice");
            assert!(self.poison.contains(&draft.position) || draft.attempts >= MAX_ATTEMPTS);
        }
        self.stored.insert(write.partition, state.clone());
        assert_eq!(
            self.stored
                .values()
                .map(|state| state.dead_letters)
                .sum::<u32>(),
            self.dead_letters.len() as u32
        );
    }

    /// Returns whether an event became a dead letter without an answer: by timeouts or lost consumers.
    fn is_lost(&self, position: u64) -> bool {
        let held = self.coordinator.partition(self.partition(position));
        held.is_some_and(|held| !held.window.contains(position))
    }

    fn reload(&mut self) {
        for (partition, state) in self.stored.clone() {
            self.coordinator.reloaded(partition, &state);
        }
        self.retried
            .extend(self.stored.values().flat_map(|state| state.retries.clone()));
        self.confirm();
    }

    fn confirm(&mut self) {
        for (_, notice) in self.coordinator.take_notices() {
            if let Notice::Settled { positions, .. } = notice {
                for position in positions {
                    assert!(
                        self.is_stored(position),
                        "{position} is confirmed and not stored"
                    );
                    let retries = self.retries.get(&position).copied().unwrap_or_default();
                    let count = self.confirmed.entry(position).or_default();
                    *count += 1;
                    assert!(*count <= retries + 1, "{position} is confirmed twice");
                }
            }
        }
    }

    /// A user retries a dead letter.
    fn retry(&mut self) {
        let letters: Vec<u64> = self.dead_letters.iter().copied().collect();
        let Some(position) = self.random.choice(letters) else {
            return;
        };
        let partition = self.partition(position);
        self.dead_letters.remove(&position);
        if let Some(state) = self.stored.get_mut(&partition) {
            state.retries.insert(position);
            state.dead_letters -= 1;
        }
        *self.retries.entry(position).or_default() += 1;
        self.accepted.remove(&position);
        self.reload();
    }

    fn step(&mut self) {
        match self.random.u8(0..40) {
            0 => self.join(),
            1 => {
                if let Some(session) = self.a_session() {
                    self.coordinator.leave(session, self.now);
                }
            }
            2 if self.random.u8(0..5) == 0 => self.crash(),
            3 if self.random.u8(0..3) == 0 => self.retry(),
            4..=8 => self.write(),
            9..=13 => self.read(),
            14..=17 => {
                self.now += self.random.u64(0..60);
                let released = self.coordinator.tick(self.now);
                assert_eq!(released, Vec::<u16>::new());
            }
            18..=25 => self.deliver(),
            _ => self.answer(),
        }
    }

    /// Runs without further crashes until everything is settled and stored.
    fn finish(&mut self) {
        for _ in 0..3 {
            self.join();
        }
        for round in 0..3_000 {
            self.now += 20;
            self.coordinator.tick(self.now);
            self.read();
            self.deliver();
            for _ in 0..10 {
                self.answer();
            }
            for write in self.coordinator.begin_writes(NODE, true) {
                self.store(&write);
                self.coordinator.committed(write.partition);
            }
            self.confirm();
            let mut states = self.stored.values();
            if states.all(|state| state.position == EVENTS && state.retries.is_empty()) {
                return;
            }
            assert!(round < 2_999, "not settled: {:?}", self.stored);
        }
    }
}

#[test]
fn events_are_settled_once_and_in_order_of_their_key() {
    for seed in 0..400 {
        let distribution = match seed % 4 {
            3 => Distribution::RoundRobin,
            _ => Distribution::Exclusive,
        };
        let mut simulation = Simulation::new(seed, distribution);
        for _ in 0..600 {
            simulation.step();
        }
        simulation.finish();
        let poison = &simulation.poison;
        assert!(poison.is_subset(&simulation.dead_letters), "seed {seed}");
        let dead_letters = &simulation.dead_letters;
        let is_known = |at: &u64| simulation.answered.contains(at) || dead_letters.contains(at);
        assert!((1..=EVENTS).all(|at| is_known(&at)), "seed {seed}");
    }
}

#[test]
fn failing_event_holds_back_its_own_key_only() {
    let mut simulation = Simulation::new(1, Distribution::Exclusive);
    // One partition with two keys.
    simulation.coordinator.settings.partitions = 1;
    simulation.keys = ["a", "a", "b", "b"].map(str::to_owned).to_vec();
    simulation.coordinator.partitions.clear();
    simulation.coordinator.hold(0, &PartitionState::default());
    simulation.join();
    let page = (1..=4).map(|at| (0, simulation.offered(at))).collect();
    simulation.coordinator.add_page(0, page, 4);
    let deliver = |simulation: &mut Simulation| {
        simulation.coordinator.deliver(simulation.now, |_| 10);
        let notices = simulation.coordinator.take_notices();
        let delivered = notices
            .into_iter()
            .filter_map(|(session, notice)| match notice {
                Notice::Delivery {
                    fence, position, ..
                } => Some((session, fence, position)),
                _ => None,
            });
        delivered.collect::<Vec<_>>()
    };
    let first = deliver(&mut simulation);
    let positions = |list: &[(SessionId, u64, u64)]| list.iter().map(|it| it.2).collect::<Vec<_>>();
    assert_eq!(positions(&first), [1, 3]);
    let (session, fence, _) = first[0];
    let coordinator = &mut simulation.coordinator;
    coordinator.reject(session, (0, fence, 1), EventFailure::retry("no"), 0);
    coordinator.acknowledge(session, 0, fence, &[3]);
    assert_eq!(positions(&deliver(&mut simulation)), [4]);
    let coordinator = &mut simulation.coordinator;
    coordinator.acknowledge(session, 0, fence, &[4]);
    let write = coordinator.begin_writes(NODE, false);
    assert_eq!(
        (write[0].state.position, &*write[0].state.settled),
        (0, &[3, 4][..])
    );
    assert_eq!(write[0].state.attempts[&1].failed, 1);
    coordinator.committed(0);
    // After the pause, the event is delivered again, and then the next one of its key.
    simulation.now = 10;
    simulation.coordinator.tick(10);
    assert_eq!(positions(&deliver(&mut simulation)), [1]);
    simulation.coordinator.acknowledge(session, 0, fence, &[1]);
    assert_eq!(positions(&deliver(&mut simulation)), [2]);
    simulation.coordinator.acknowledge(session, 0, fence, &[2]);
    let write = simulation.coordinator.begin_writes(NODE, false);
    assert_eq!(
        (write[0].state.position, write[0].state.settled.len()),
        (4, 0)
    );
}

#[test]
fn late_answer_after_a_revoke_does_not_count() {
    let mut simulation = Simulation::new(1, Distribution::Exclusive);
    simulation.join();
    simulation.read();
    simulation.deliver();
    let received = simulation.received[0];
    simulation.coordinator.leave(received.session, 0);
    simulation.join();
    simulation.coordinator.notices.clear();
    let positions = [received.position];
    let coordinator = &mut simulation.coordinator;
    coordinator.acknowledge(
        received.session,
        received.partition,
        received.fence,
        &positions,
    );
    let notices = coordinator.take_notices();
    assert!(
        matches!(notices[..], [(_, Notice::NotSettled { .. })]),
        "{notices:?}"
    );
    let other = SessionId(simulation.sessions);
    let coordinator = &mut simulation.coordinator;
    coordinator.acknowledge(other, received.partition, received.fence, &positions);
    let notices = coordinator.take_notices();
    assert!(
        matches!(notices[..], [(_, Notice::NotSettled { .. })]),
        "{notices:?}"
    );
}

#[test]
fn window_is_bounded_and_other_partitions_continue() {
    let settings = GroupSettings {
        partitions: 2,
        ..GroupSettings::default()
    };
    let mut coordinator = Coordinator::<u64>::new(settings);
    for partition in 0..2 {
        coordinator.hold(partition, &PartitionState::default());
    }
    let offered = |position: u64| Offered {
        position,
        key: Some("key".into()),
        size: 1,
        pin: 0,
        event: position,
    };
    // Nobody consumes: the events of partition 0 fill its window.
    let max = crate::groups::window::MAX_WINDOW as u64;
    let page = (1..=max + 50).map(|at| (0, offered(at))).collect();
    coordinator.add_page(0, page, max + 50);
    let examined = |coordinator: &Coordinator<u64>, partition| {
        coordinator
            .partition(partition)
            .map(|held| held.window.examined())
    };
    assert_eq!(examined(&coordinator, 0), Some(max));
    assert_eq!(examined(&coordinator, 1), Some(max + 50));
    assert_eq!(coordinator.next_read(), Some(max + 50));
}
