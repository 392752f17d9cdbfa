//! The promises under faults: a store that is not there, answers that are lost, appends that come twice.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::conformance::{Backend, all, events, everything, number, stream};
use super::conformance_engine::{Count, Counter, CounterEvent, patient};
use super::conformance_race::{newest_are_whole, oldest_are_whole};
use super::{Faults, Faulty};
use crate::append::{Append, AppendError, ExpectedVersion};
use crate::engine::RetryPolicy;
use crate::error::StoreError;
use crate::position::Position;
use crate::prelude::*;
use crate::query::Query;
use crate::record::RecordedEvent;
use crate::snapshot::SnapshotStore as _;
use crate::store::Store;
use crate::subscription::Subscription;

const SEEDS: [u64; 3] = [1, 2, 3];
/// Where one seed takes longer, a case hangs.
const LONGEST: Duration = Duration::from_secs(38);

/// Runs a case with every seed, or with that of the environment variable `FACTUM_SEED`; a failure names its seed.
pub(super) async fn with_seeds(case: impl AsyncFn(u64)) {
    let chosen = std::env::var("FACTUM_SEED").ok();
    let chosen = chosen.map(|seed| vec![seed.parse().expect("FACTUM_SEED is a number")]);
    for seed in chosen.unwrap_or(SEEDS.to_vec()) {
        let run = AssertUnwindSafe(case(seed)).catch_unwind();
        match tokio::time::timeout(LONGEST, run).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => panic!("seed {seed}: {}", text(&*failure)),
            Err(_) => panic!("seed {seed} hangs: no end after {LONGEST:?}"),
        }
    }
}

fn text(failure: &(dyn Any + Send)) -> &str {
    let text = failure.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| failure.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
}

/// What became of a command, as far as its sender knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Done(Receipt),
    NotDone,
    /// Done or not, that is not known.
    Interrupted,
}

/// Counts under faults. The reason in the metadata tells whose event it is.
pub(super) async fn count(
    engine: Engine,
    counter: u64,
    caller: String,
    key: Option<String>,
) -> Answer {
    let mut command = engine.execute(Count { counter }).because(caller);
    if let Some(key) = key {
        command = command.idempotency_key(key);
    }
    match command.await {
        Ok(receipt) => Answer::Done(receipt),
        Err(ExecuteError::Store(StoreError::Unavailable(_)) | ExecuteError::Conflict { .. }) => {
            Answer::NotDone
        }
        Err(ExecuteError::Store(StoreError::Interrupted(_))) => Answer::Interrupted,
        Err(error) => panic!("a count under faults ended with {error:?}"),
    }
}

/// Everything that it was given, in that order.
#[derive(Projection, Default)]
#[projection(crate = crate, name = "conformance_seen", events = CounterEvent)]
struct Seen {
    places: Vec<Position>,
}

impl Project<CounterEvent> for Seen {
    fn project(&mut self, event: &Recorded<CounterEvent>) {
        self.places.push(event.record.position);
    }
}

/// Everything up to `last`, whatever fails on the way: behind an error a subscriber asks again.
async fn subscribed(store: impl Store, last: Position) -> Vec<RecordedEvent> {
    let mut subscription =
        Subscription::new(Arc::new(store), Query::all(), Position::ZERO).page_size(7);
    let mut seen = Vec::new();
    while subscription.position() < last {
        match subscription.next_page().await {
            Ok(page) => seen.extend(page.events),
            Err(StoreError::Unavailable(_) | StoreError::Interrupted(_)) => {}
            Err(error) => panic!("a subscription under faults ended with {error:?}"),
        }
    }
    seen
}

/// A subscriber and a projection see every event once and in order under faults.
pub async fn readers_get_every_event_once_under_faults<B: Backend>() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 10;
    let faults = Faults {
        reads: 0.4,
        wakes: 0.6,
        ..Faults::DELAYS
    };
    with_seeds(async |seed| {
        let place = B::create().await;
        let store = Faulty::new(place.open().await, seed, faults);
        let last = Position::new(WRITERS * EACH);
        let subscriber = tokio::spawn(subscribed(store.clone(), last));
        let model = InMemory::<Seen>::new();
        let retry = RetryPolicy {
            attempts: 1_000,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(5),
        };
        let projections = Projections::builder(&Engine::new(store.clone()))
            .retry(retry)
            .with(model.clone())
            .start();
        let sound = place.open().await;
        let writers = (0..WRITERS).map(|counter| {
            let engine = patient(sound.clone());
            tokio::spawn(async move {
                for _ in 0..EACH {
                    engine.execute(Count { counter }).await.expect("a count");
                    tokio::task::yield_now().await;
                }
            })
        });
        all(writers.collect::<Vec<_>>()).await;
        let seen = all([subscriber]).await.remove(0);
        projections.wait_for(last).await.expect("a projection");
        assert!(store.injected() > 0, "no fault was met");

        let stored = everything(&sound, 100).await;
        let positions: Vec<u64> = stored.iter().map(|event| event.position.get()).collect();
        assert_eq!(positions, (1..=last.get()).collect::<Vec<_>>());
        assert!(seen == stored, "a subscriber saw something else");
        model.read(|seen| {
            let stored = stored.iter().map(|event| event.position);
            assert!(
                stored.eq(seen.places.iter().copied()),
                "a projection saw {:?}",
                seen.places
            );
        });
    })
    .await;
}

/// The state of a counter, asked for until the store is there.
async fn state(engine: &Engine, counter: u64) -> (u64, u64, u64) {
    loop {
        match engine.load::<Counter>(&counter).await {
            Ok(state) => return (state.count, state.sum, state.version().get()),
            Err(LoadError::Store(StoreError::Unavailable(_) | StoreError::Interrupted(_))) => {}
            Err(error) => panic!("a load under faults ended with {error:?}"),
        }
    }
}

/// State from a snapshot equals a replay under faults, while snapshots are saved late, in disorder, or not at all.
pub async fn state_from_snapshot_equals_replay_under_faults<B: Backend>() {
    let faults = Faults {
        reads: 0.4,
        pauses: 0.5,
        ..Faults::DELAYS
    };
    with_seeds(async |seed| {
        let place = B::create().await;
        let store = Faulty::new(place.open().await, seed, faults);
        let writer = patient(store.clone());
        for expected in 1..=23 {
            let answer = count(writer.clone(), 1, "a writer".to_owned(), None).await;
            assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
            // Nothing is warm in a new engine: it begins at a snapshot, if it can get one.
            let found = state(&Engine::new(store.clone()), 1).await;
            let sum = expected * (expected + 1) / 2;
            assert_eq!(found, (expected, sum, expected), "from a snapshot");
        }
        let sound = place.open().await;
        let with = state(&Engine::new(sound.clone()), 1).await;
        sound
            .clear_snapshots()
            .await
            .expect("snapshots can be cleared");
        let without = state(&Engine::new(place.open().await), 1).await;
        assert_eq!(with, without);
        assert_eq!(without, (23, 23 * 24 / 2, 23));
    })
    .await;
}

/// Appends three events to two streams, and says whether they are stored, as far as is known.
async fn append_three(store: impl Store, number: u64) -> Option<bool> {
    let own = stream(&format!("contract-{}", number % 5));
    let shared = stream("contract-shared");
    let append = Append::stream(own, ExpectedVersion::Any, events([number])).and_stream(
        shared,
        ExpectedVersion::Any,
        events([number, number]),
    );
    match store.append(append).await {
        Ok(_) => Some(true),
        Err(AppendError::Store(StoreError::Unavailable(_))) => Some(false),
        Err(AppendError::Store(StoreError::Interrupted(_))) => None,
        Err(error) => panic!("an append under faults ended with {error:?}"),
    }
}

/// An append over several streams is all or nothing under faults, for every reader.
pub async fn multi_stream_append_is_atomic_under_faults<B: Backend>() {
    const APPENDS: u64 = 60;
    with_seeds(async |seed| {
        let place = B::create().await;
        let store = Faulty::new(place.open().await, seed, Faults::default());
        let sound = place.open().await;
        let late = Faulty::new(sound.clone(), seed, Faults::DELAYS);
        let done = Arc::new(AtomicBool::new(false));
        let readers = [
            tokio::spawn(newest_are_whole(sound.clone(), done.clone())),
            tokio::spawn(oldest_are_whole(late, done.clone())),
        ];
        let appends = (0..APPENDS).map(|n| tokio::spawn(append_three(store.clone(), n)));
        let answers = all(appends.collect::<Vec<_>>()).await;
        done.store(true, SeqCst);
        all(readers).await;
        assert!(store.injected() > 0, "no fault was met");

        let mut stored: HashMap<u64, usize> = HashMap::new();
        for event in everything(&sound, 50).await {
            *stored.entry(number(&event)).or_default() += 1;
        }
        for (n, answer) in (0_u64..).zip(answers) {
            let events = stored.get(&n).copied().unwrap_or(0);
            match answer {
                Some(true) => assert_eq!(events, 3, "append {n} was acknowledged"),
                Some(false) => assert_eq!(events, 0, "append {n} was not available"),
                None => assert!([0, 3].contains(&events), "{events} events of append {n}"),
            }
        }
    })
    .await;
}
