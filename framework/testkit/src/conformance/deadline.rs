//! Cases about deadlines of decisions: they are stored with their events, fire once and in due order.

use std::collections::BTreeMap;
use std::time::Duration;

use super::faults::with_seeds;
use super::harness::{Backend, all_events, join_all};
use super::shop::DAY;
use crate::{Faults, Faulty, VirtualClock};
use factum::prelude::*;
use factum_core::store::{EventStore as _, Store};
use factum_core::timestamp::Timestamp;
use factum_engine::clock::Clock as _;
use factum_engine::engine::RetryPolicy;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "locker")]
enum LockerEvent {
    Filled { locker: u64, filling: u64 },
    Emptied { locker: u64 },
}

/// A parcel locker, which a courier empties at a deadline.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "locker", id = u64, event = LockerEvent)]
struct Locker;

impl Apply<LockerEvent> for Locker {
    fn apply(&mut self, _: &LockerEvent) {}
}

/// Fills the locker and sets its deadline, which replaces the deadline of an earlier filling.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Locker)]
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
#[command(on = Locker)]
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
#[event(prefix = "courier")]
enum CourierEvent {
    Fetched { locker: u64, filling: u64 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "courier", id = u64, event = CourierEvent)]
struct Courier;

impl Apply<CourierEvent> for Courier {
    fn apply(&mut self, _: &CourierEvent) {}
}

/// Fetches a parcel, without a check for repeated executions.
///
/// It writes to the stream of the courier, so the version of the locker's stream does not prevent repeated executions.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Courier)]
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

/// Creates an engine that retries a command up to 1,000 times.
fn retrying_engine(store: impl Store, clock: &VirtualClock) -> Engine {
    let retry = RetryPolicy {
        attempts: 1_000,
        ..RetryPolicy::default()
    };
    engine(store, clock, retry)
}

async fn start(store: impl Store, clock: &VirtualClock) -> Runtime {
    let retry = RetryPolicy {
        attempts: 1_000,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
    };
    Runtime::builder(&retrying_engine(store, clock))
        .deadlines::<Fetch>()
        .retry(retry)
        .lease(Duration::from_millis(60))
        .start()
        .await
        .expect("the runtime should start")
}

async fn idle(running: &Runtime) {
    running
        .wait_until_idle()
        .await
        .expect("the due deadlines should fire");
}

async fn fill(engine: &Engine, (locker, filling): (u64, u64), fetched: Timestamp) {
    let fill = Fill {
        locker,
        filling,
        fetched,
    };
    let key = format!("fill {locker}, {filling}");
    let filled = engine.execute(fill).idempotency_key(key).await;
    filled.expect("the locker should be filled");
}

async fn empty(engine: &Engine, locker: u64) {
    let key = format!("empty {locker}");
    let emptied = engine.execute(Empty { locker }).idempotency_key(key).await;
    emptied.expect("the locker should be emptied");
}

/// An entry in the history of a locker, with the number of the filling.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    Filled(u64),
    Emptied,
    Fetched(u64),
}
use Entry::{Emptied, Fetched, Filled};

/// Returns the history of each locker, and the lockers in the order in which they were fetched.
async fn histories(store: &impl Store) -> (BTreeMap<u64, Vec<Entry>>, Vec<u64>) {
    let (mut lockers, mut fetched) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for record in all_events(store, 100).await {
        let (locker, entry) = if record.name.starts_with("courier.") {
            let event = record.decode();
            let CourierEvent::Fetched { locker, filling } =
                event.expect("the event of a courier should decode");
            fetched.push(locker);
            (locker, Fetched(filling))
        } else {
            let event = record.decode();
            match event.expect("the event of a locker should decode") {
                LockerEvent::Filled { locker, filling } => (locker, Filled(filling)),
                LockerEvent::Emptied { locker } => (locker, Emptied),
            }
        };
        lockers.entry(locker).or_default().push(entry);
    }
    (lockers, fetched)
}

/// A deadline is set, moved or cancelled if and only if its append is stored.
///
/// A repeated append changes no deadline.
pub async fn deadlines_commit_atomically_with_their_events<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let clock = VirtualClock::new();
    let due = clock.now() + DAY;
    let engine_without_retries = engine(store.clone(), &clock, RetryPolicy::NEVER);
    let other = retrying_engine(backend.open().await, &clock);
    for locker in 0..3 {
        fill(&engine_without_retries, (locker, 1), due).await;
    }
    // The cached states of the first engine are stale after these commands.
    fill(&other, (0, 2), due).await;
    fill(&other, (1, 2), due).await;
    let stale = Fill {
        locker: 0,
        filling: 3,
        fetched: due,
    };
    let conflict = engine_without_retries.execute(stale).await;
    assert!(
        matches!(conflict, Err(ExecuteError::Conflict { .. })),
        "expected a conflict for a decision on a stale state, got {conflict:?}"
    );
    let conflict = engine_without_retries.execute(Empty { locker: 1 }).await;
    assert!(
        matches!(conflict, Err(ExecuteError::Conflict { .. })),
        "expected a conflict for a decision on a stale state, got {conflict:?}"
    );
    empty(&other, 2).await;
    fill(&other, (2, 1), due).await;
    let running = start(store.clone(), &clock).await;
    clock.advance(DAY - Duration::from_secs(60));
    idle(&running).await;
    let fetched = histories(&store).await.1;
    assert!(
        fetched.is_empty(),
        "deadlines of the lockers {fetched:?} fired before they were due"
    );
    clock.advance(DAY);
    idle(&running).await;
    running.stop().await;
    let expected = [
        (0, vec![Filled(1), Filled(2), Fetched(2)]),
        (1, vec![Filled(1), Filled(2), Fetched(2)]),
        (2, vec![Filled(1), Emptied]),
    ];
    assert_eq!(histories(&store).await.0, BTreeMap::from(expected));
}

/// Due deadlines fire once and in due order on two nodes under faults.
///
/// A cancelled deadline does not fire; a moved deadline fires at its new time only.
pub async fn deadlines_fire_once_in_due_order_under_faults<B: Backend>() {
    const LOCKERS: u64 = 18;
    with_seeds(async |seed| {
        let backend = B::create().await;
        let clock = VirtualClock::new();
        let faulty = async |run| Faulty::new(backend.open().await, seed + run, Faults::default());
        let store = faulty(0).await;
        let engine = retrying_engine(store.clone(), &clock);
        let began = clock.now();
        // The order of the locker numbers differs from the due order.
        let due = |locker: u64| began + DAY + Duration::from_secs(locker * 7 % LOCKERS);
        for locker in 0..LOCKERS {
            fill(&engine, (locker, 1), due(locker)).await;
        }
        for locker in 0..LOCKERS / 3 {
            empty(&engine, locker).await;
            fill(&engine, (LOCKERS / 3 + locker, 2), due(locker) + DAY).await;
        }
        let nodes = [
            start(faulty(1).await, &clock).await,
            start(faulty(2).await, &clock).await,
        ];
        for _ in 0..3 {
            clock.advance(DAY + Duration::from_secs(1));
            for node in &nodes {
                idle(node).await;
            }
        }
        for node in nodes {
            node.stop().await;
        }
        let (lockers, fetched) = histories(&backend.open().await).await;
        for (locker, history) in lockers {
            let fired = history.into_iter().filter(|it| matches!(it, Fetched(_)));
            let expected = match locker / (LOCKERS / 3) {
                0 => vec![],
                1 => vec![Fetched(2)],
                _ => vec![Fetched(1)],
            };
            assert_eq!(
                fired.collect::<Vec<_>>(),
                expected,
                "the deadlines of locker {locker} that fired"
            );
        }
        let time = |locker: u64| match locker < LOCKERS / 3 * 2 {
            true => due(locker - LOCKERS / 3) + DAY,
            false => due(locker),
        };
        assert!(
            fetched.is_sorted_by_key(|locker| time(*locker)),
            "deadlines must fire in due order, but fired for the lockers {fetched:?}"
        );
        assert!(store.injected() > 0, "no fault was injected");
    })
    .await;
}

/// A cancelled or moved deadline does not fire at its old time after the change was acknowledged.
///
/// If it fires at the same time as it is changed, either of them may be first.
pub async fn changed_deadline_never_fires_at_its_old_time<B: Backend>() {
    const LOCKERS: u64 = 24;
    with_seeds(async |seed| {
        let backend = B::create().await;
        let store = backend.open().await;
        let clock = VirtualClock::new();
        let engine = retrying_engine(store.clone(), &clock);
        let due = clock.now() + DAY;
        for locker in 0..LOCKERS {
            fill(&engine, (locker, 1), due + Duration::from_secs(locker)).await;
        }
        let moved = due + DAY * 9;
        clock.advance(DAY + Duration::from_secs(60));
        let delayed = Faulty::new(backend.open().await, seed, Faults::DELAYS);
        let node = start(delayed, &clock).await;
        let mut head = store.watch();
        let changes = tokio::spawn(async move {
            for locker in (1..LOCKERS).step_by(2) {
                // Change the deadline at about the time at which it fires.
                let reached = head.wait_for(|head| head.get() >= LOCKERS + locker);
                reached.await.expect("the store should stay open");
                match locker % 4 {
                    1 => empty(&engine, locker).await,
                    _ => fill(&engine, (locker, 2), moved).await,
                }
            }
        });
        join_all([changes]).await;
        idle(&node).await;
        clock.advance(DAY * 10);
        idle(&node).await;
        node.stop().await;
        for (locker, history) in histories(&store).await.0 {
            let expected = match locker % 4 {
                1 => {
                    let fired = [Filled(1), Fetched(1), Emptied];
                    history == [Filled(1), Emptied] || history == fired
                }
                3 => {
                    let fired = [Filled(1), Fetched(1), Filled(2), Fetched(2)];
                    history == [Filled(1), Filled(2), Fetched(2)] || history == fired
                }
                _ => history == [Filled(1), Fetched(1)],
            };
            assert!(
                expected,
                "unexpected history of locker {locker}: {history:?}"
            );
        }
    })
    .await;
}

/// Deadlines that became due while no program was running fire in due order when one starts.
pub async fn deadlines_survive_restart_and_fire_late<B: Backend>() {
    const LOCKERS: u64 = 9;
    let backend = B::create().await;
    let clock = VirtualClock::new();
    let began = clock.now();
    let due = |locker: u64| began + DAY * (1 + locker as u32 * 2 % LOCKERS as u32);
    {
        let engine = retrying_engine(backend.open().await, &clock);
        for locker in 0..LOCKERS {
            fill(&engine, (locker, 1), due(locker)).await;
        }
    }
    let running = start(backend.open().await, &clock).await;
    clock.advance(DAY * 3);
    // The program stops without a shutdown, at any point of its work.
    drop(running);
    clock.advance(DAY * 30);
    let running = start(backend.open().await, &clock).await;
    idle(&running).await;
    running.stop().await;
    let (lockers, fetched) = histories(&backend.open().await).await;
    assert_eq!(lockers.len() as u64, LOCKERS);
    for (locker, history) in lockers {
        let expected = [Filled(1), Fetched(1)];
        assert_eq!(history, expected, "the history of locker {locker}");
    }
    assert!(
        fetched.is_sorted_by_key(|locker| due(*locker)),
        "deadlines must fire in due order, but fired for the lockers {fetched:?}"
    );
}
