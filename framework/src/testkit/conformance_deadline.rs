//! Deadlines that decisions set: they are set with their events, fire once and in due order, and never once they were
//! cancelled or moved.

use std::collections::BTreeMap;
use std::time::Duration;

use super::conformance::{Backend, all, everything};
use super::conformance_faults::with_seeds;
use super::conformance_shop::DAY;
use super::{Faults, Faulty, VirtualClock};
use crate::clock::Clock as _;
use crate::engine::RetryPolicy;
use crate::prelude::*;
use crate::store::{EventStore as _, Store};
use crate::timestamp::Timestamp;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(crate = crate, prefix = "locker")]
enum LockerEvent {
    Filled { locker: u64, filling: u64 },
    Emptied { locker: u64 },
}

/// Where parcels wait for somebody.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(crate = crate, category = "locker", id = u64, event = LockerEvent)]
struct Locker;

impl Apply<LockerEvent> for Locker {
    fn apply(&mut self, _: &LockerEvent) {}
}

/// Fills the locker, and has it fetched at a time: one more filling moves that.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(crate = crate, on = Locker)]
struct Fill {
    #[id]
    locker: u64,
    filling: u64,
    fetched: Timestamp,
}

impl Decide for Fill {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Locker) -> Result<Events<LockerEvent>, Self::Error> {
        let Self {
            locker, filling, ..
        } = *self;
        let courier = locker % 3;
        let fetch = Fetch {
            courier,
            locker,
            filling,
        };
        let filled = LockerEvent::Filled { locker, filling };
        Ok(Events::from(filled).deadline("pick up", self.fetched, fetch))
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(crate = crate, on = Locker)]
struct Empty {
    #[id]
    locker: u64,
}

impl Decide for Empty {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Locker) -> Result<Events<LockerEvent>, Self::Error> {
        let locker = self.locker;
        Ok(Events::from(LockerEvent::Emptied { locker }).cancel_deadline("pick up"))
    }
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(crate = crate, prefix = "courier")]
enum CourierEvent {
    Fetched { locker: u64, filling: u64 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(crate = crate, category = "courier", id = u64, event = CourierEvent)]
struct Courier;

impl Apply<CourierEvent> for Courier {
    fn apply(&mut self, _: &CourierEvent) {}
}

/// Fetches as often as it is executed, so that each time shows; and from another stream than that of the locker, whose
/// version does not help.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(crate = crate, on = Courier)]
struct Fetch {
    #[id]
    courier: u64,
    locker: u64,
    filling: u64,
}

impl Decide for Fetch {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Courier) -> Result<Events<CourierEvent>, Self::Error> {
        let Self {
            locker, filling, ..
        } = *self;
        Ok(CourierEvent::Fetched { locker, filling }.into())
    }
}

fn engine(store: impl Store, clock: &VirtualClock, retry: RetryPolicy) -> Engine {
    let builder = Engine::builder(store).clock(clock.clone());
    builder.retry(retry).build()
}

/// An engine that decides until it wins.
fn patient(store: impl Store, clock: &VirtualClock) -> Engine {
    let retry = RetryPolicy {
        attempts: 1_000,
        ..RetryPolicy::default()
    };
    engine(store, clock, retry)
}

fn start(store: impl Store, clock: &VirtualClock) -> ProcessManagers {
    let retry = RetryPolicy {
        attempts: 1_000,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
    };
    ProcessManagers::builder(&patient(store, clock))
        .deadlines::<Fetch>()
        .retry(retry)
        .lease(Duration::from_millis(60))
        .start()
}

async fn idle(running: &ProcessManagers) {
    running
        .wait_until_idle()
        .await
        .expect("what is due is done");
}

async fn fill(engine: &Engine, (locker, filling): (u64, u64), fetched: Timestamp) {
    let fill = Fill {
        locker,
        filling,
        fetched,
    };
    let key = format!("fill {locker}, {filling}");
    let filled = engine.execute(fill).idempotency_key(key).await;
    filled.expect("a locker is filled");
}

async fn empty(engine: &Engine, locker: u64) {
    let key = format!("empty {locker}");
    let emptied = engine.execute(Empty { locker }).idempotency_key(key).await;
    emptied.expect("a locker is emptied");
}

/// What has happened to a locker: it was filled for the nth time, emptied, or that filling was fetched.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Happened {
    Filled(u64),
    Emptied,
    Fetched(u64),
}
use Happened::{Emptied, Fetched, Filled};

/// By locker, in the order in which it was stored; and which were fetched, in that order.
async fn happened(store: &impl Store) -> (BTreeMap<u64, Vec<Happened>>, Vec<u64>) {
    let (mut lockers, mut fetched) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for record in everything(store, 100).await {
        let (locker, what) = if record.name.starts_with("courier.") {
            let fetch = record.decode().expect("an event of a courier");
            let CourierEvent::Fetched { locker, filling } = fetch;
            fetched.push(locker);
            (locker, Fetched(filling))
        } else {
            match record.decode().expect("an event of a locker") {
                LockerEvent::Filled { locker, filling } => (locker, Filled(filling)),
                LockerEvent::Emptied { locker } => (locker, Emptied),
            }
        };
        lockers.entry(locker).or_default().push(what);
    }
    (lockers, fetched)
}

/// A deadline is set, moved and cancelled by an append that is stored, and by no other; and by one that is repeated, once.
pub async fn deadlines_commit_atomically_with_their_events<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let clock = VirtualClock::new();
    let due = clock.now() + DAY;
    let quick = engine(store.clone(), &clock, RetryPolicy::NEVER);
    let other = patient(place.open().await, &clock);
    for locker in 0..3 {
        fill(&quick, (locker, 1), due).await;
    }
    // What the quick one knows of these is behind.
    fill(&other, (0, 2), due).await;
    fill(&other, (1, 2), due).await;
    let late = Fill {
        locker: 0,
        filling: 3,
        fetched: due,
    };
    let conflict = quick.execute(late).await;
    assert!(
        matches!(conflict, Err(ExecuteError::Conflict { .. })),
        "{conflict:?}"
    );
    let conflict = quick.execute(Empty { locker: 1 }).await;
    assert!(
        matches!(conflict, Err(ExecuteError::Conflict { .. })),
        "{conflict:?}"
    );
    empty(&other, 2).await;
    fill(&other, (2, 1), due).await;
    let running = start(store.clone(), &clock);
    clock.advance(DAY - Duration::from_secs(60));
    idle(&running).await;
    assert!(happened(&store).await.1.is_empty());
    clock.advance(DAY);
    idle(&running).await;
    running.stop().await;
    let expected = [
        (0, vec![Filled(1), Filled(2), Fetched(2)]),
        (1, vec![Filled(1), Filled(2), Fetched(2)]),
        (2, vec![Filled(1), Emptied]),
    ];
    assert_eq!(happened(&store).await.0, BTreeMap::from(expected));
}

/// What is due fires once, in due order, over two instances of the program and a store that fails; what was cancelled
/// does not, and what was moved fires at its new time alone.
pub async fn deadlines_fire_once_in_due_order_under_faults<B: Backend>() {
    const LOCKERS: u64 = 18;
    with_seeds(async |seed| {
        let place = B::create().await;
        let clock = VirtualClock::new();
        let faulty = async |run| Faulty::new(place.open().await, seed + run, Faults::default());
        let store = faulty(0).await;
        let setting = patient(store.clone(), &clock);
        let began = clock.now();
        // Set in an order that is not that of their times.
        let due = |locker: u64| began + DAY + Duration::from_secs(locker * 7 % LOCKERS);
        for locker in 0..LOCKERS {
            fill(&setting, (locker, 1), due(locker)).await;
        }
        for locker in 0..LOCKERS / 3 {
            empty(&setting, locker).await;
            fill(&setting, (LOCKERS / 3 + locker, 2), due(locker) + DAY).await;
        }
        let runners = [
            start(faulty(1).await, &clock),
            start(faulty(2).await, &clock),
        ];
        for _ in 0..3 {
            clock.advance(DAY + Duration::from_secs(1));
            for runner in &runners {
                idle(runner).await;
            }
        }
        for runner in runners {
            runner.stop().await;
        }
        let (lockers, fetched) = happened(&place.open().await).await;
        for (locker, happened) in lockers {
            let fired = happened.into_iter().filter(|it| matches!(it, Fetched(_)));
            let expected = match locker / (LOCKERS / 3) {
                0 => vec![],
                1 => vec![Fetched(2)],
                _ => vec![Fetched(1)],
            };
            assert_eq!(fired.collect::<Vec<_>>(), expected, "of locker {locker}");
        }
        let time = |locker: u64| match locker < LOCKERS / 3 * 2 {
            true => due(locker - LOCKERS / 3) + DAY,
            false => due(locker),
        };
        assert!(
            fetched.is_sorted_by_key(|locker| time(*locker)),
            "{fetched:?}"
        );
        assert!(store.injected() > 0, "no fault was met");
    })
    .await;
}

/// Whoever cancels or moves a deadline while it fires is first, or the deadline is: once that was acknowledged, the
/// command does not happen any more.
pub async fn changed_deadline_never_fires_at_its_old_time<B: Backend>() {
    const LOCKERS: u64 = 24;
    with_seeds(async |seed| {
        let place = B::create().await;
        let store = place.open().await;
        let clock = VirtualClock::new();
        let setting = patient(store.clone(), &clock);
        let due = clock.now() + DAY;
        for locker in 0..LOCKERS {
            fill(&setting, (locker, 1), due + Duration::from_secs(locker)).await;
        }
        let moved = due + DAY * 9;
        clock.advance(DAY + Duration::from_secs(60));
        let late = Faulty::new(place.open().await, seed, Faults::DELAYS);
        let runner = start(late, &clock);
        let mut head = store.watch();
        let rival = tokio::spawn(async move {
            for locker in (1..LOCKERS).step_by(2) {
                // About when its own turn comes.
                let reached = head.wait_for(|head| head.get() >= LOCKERS + locker);
                reached.await.expect("the store lives");
                match locker % 4 {
                    1 => empty(&setting, locker).await,
                    _ => fill(&setting, (locker, 2), moved).await,
                }
            }
        });
        all([rival]).await;
        idle(&runner).await;
        clock.advance(DAY * 10);
        idle(&runner).await;
        runner.stop().await;
        for (locker, happened) in happened(&store).await.0 {
            let fits = match locker % 4 {
                1 => {
                    let fired = [Filled(1), Fetched(1), Emptied];
                    happened == [Filled(1), Emptied] || happened == fired
                }
                3 => {
                    let fired = [Filled(1), Fetched(1), Filled(2), Fetched(2)];
                    happened == [Filled(1), Filled(2), Fetched(2)] || happened == fired
                }
                _ => happened == [Filled(1), Fetched(1)],
            };
            assert!(fits, "of locker {locker}: {happened:?}");
        }
    })
    .await;
}

/// What nobody was there for fires when somebody is, in due order.
pub async fn deadlines_survive_restart_and_fire_late<B: Backend>() {
    const LOCKERS: u64 = 9;
    let place = B::create().await;
    let clock = VirtualClock::new();
    let began = clock.now();
    let due = |locker: u64| began + DAY * (1 + locker as u32 * 2 % LOCKERS as u32);
    {
        let setting = patient(place.open().await, &clock);
        for locker in 0..LOCKERS {
            fill(&setting, (locker, 1), due(locker)).await;
        }
    }
    let running = start(place.open().await, &clock);
    clock.advance(DAY * 3);
    // Ends in the middle of whatever it is at.
    drop(running);
    clock.advance(DAY * 30);
    let running = start(place.open().await, &clock);
    idle(&running).await;
    running.stop().await;
    let (lockers, fetched) = happened(&place.open().await).await;
    assert_eq!(lockers.len() as u64, LOCKERS);
    for (locker, happened) in lockers {
        assert_eq!(happened, [Filled(1), Fetched(1)], "of locker {locker}");
    }
    assert!(
        fetched.is_sorted_by_key(|locker| due(*locker)),
        "{fetched:?}"
    );
}
