//! Cases about the guarantees under faults: unavailable stores, lost responses and repeated appends.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::engine::{Count, Counter, CounterEvent, retrying_engine};
use super::harness::{Backend, all_events, events, join_all, number, stream};
use super::race::{check_newest_appends, check_oldest_appends};
use crate::{Faults, Faulty};
use factum::prelude::*;
use factum_core::append::{Append, AppendError, ExpectedVersion};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::snapshot::SnapshotStore as _;
use factum_core::store::Store;
use factum_engine::engine::RetryPolicy;
use factum_engine::error::StoreError;
use factum_engine::record::RecordedEvent;
use factum_engine::subscription::Subscription;

const SEEDS: [u64; 3] = [1, 2, 3];
/// The time limit for one seed.
const TIMEOUT: Duration = Duration::from_secs(38);

/// Runs a case with every seed, or with the seed in the environment variable `FACTUM_SEED`.
///
/// # Panics
/// If the case fails or does not finish in time; the text names the seed.
pub async fn with_seeds(case: impl AsyncFn(u64)) {
    let chosen = std::env::var("FACTUM_SEED").ok();
    let chosen = chosen.map(|seed| vec![seed.parse().expect("FACTUM_SEED should be a number")]);
    for seed in chosen.unwrap_or(SEEDS.to_vec()) {
        let run = AssertUnwindSafe(case(seed)).catch_unwind();
        match tokio::time::timeout(TIMEOUT, run).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => panic!("seed {seed}: {}", panic_text(&*panic)),
            Err(_) => panic!("seed {seed} hangs: not finished after {TIMEOUT:?}"),
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
}

/// The outcome of a command, as its sender knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestOutcome {
    Executed(Receipt),
    NotExecuted,
    /// The response was lost; the command was executed or not.
    Unknown,
}

/// Executes [`Count`] under faults, with the caller as the reason in the metadata.
pub async fn count(
    engine: Engine,
    counter: u64,
    caller: String,
    key: Option<String>,
) -> RequestOutcome {
    let mut command = engine.execute(Count { counter }).because(caller);
    if let Some(key) = key {
        command = command.idempotency_key(key);
    }
    match command.await {
        Ok(receipt) => RequestOutcome::Executed(receipt),
        Err(ExecuteError::Store(StoreError::Unavailable(_)) | ExecuteError::Conflict { .. }) => {
            RequestOutcome::NotExecuted
        }
        Err(ExecuteError::Store(StoreError::Interrupted(_))) => RequestOutcome::Unknown,
        Err(error) => panic!("unexpected error of a count under faults: {error:?}"),
    }
}

/// The positions of the projected events, in the order of projection.
#[derive(Projection, Default)]
#[projection(name = "conformance_seen", events = CounterEvent)]
struct SeenPositions {
    positions: Vec<Position>,
}

impl Project<CounterEvent> for SeenPositions {
    fn project(&mut self, event: &Recorded<CounterEvent>) {
        self.positions.push(event.record.position);
    }
}

/// Subscribes to all events up to `last`; retries after an error.
async fn subscribed(store: impl Store, last: Position) -> Vec<RecordedEvent> {
    let mut subscription =
        Subscription::new(Arc::new(store), Query::all(), Position::ZERO).page_size(7);
    let mut seen = Vec::new();
    while subscription.position() < last {
        match subscription.next_page().await {
            Ok(page) => seen.extend(page.events),
            Err(StoreError::Unavailable(_) | StoreError::Interrupted(_)) => {}
            Err(error) => panic!("unexpected error of a subscription under faults: {error:?}"),
        }
    }
    seen
}

/// A subscriber and a projection get every event once and in order under faults.
pub async fn readers_get_every_event_once_under_faults<B: Backend>() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 10;
    let faults = Faults {
        reads: 0.4,
        wakes: 0.6,
        ..Faults::DELAYS
    };
    with_seeds(async |seed| {
        let backend = B::create().await;
        let store = Faulty::new(backend.open().await, seed, faults);
        let last = Position::new(WRITERS * EACH);
        let subscriber = tokio::spawn(subscribed(store.clone(), last));
        let model = InMemory::<SeenPositions>::new();
        let retry = RetryPolicy {
            attempts: 1_000,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(5),
        };
        let projections = Runtime::builder(&Engine::new(store.clone()))
            .retry(retry)
            .projection(model.clone())
            .start()
            .await
            .expect("the runtime should start");
        let reliable = backend.open().await;
        let writers = (0..WRITERS).map(|counter| {
            let engine = retrying_engine(reliable.clone());
            tokio::spawn(async move {
                for _ in 0..EACH {
                    let counted = engine.execute(Count { counter }).await;
                    counted.expect("the count should succeed");
                    tokio::task::yield_now().await;
                }
            })
        });
        join_all(writers.collect::<Vec<_>>()).await;
        let seen = join_all([subscriber]).await.remove(0);
        let reached = projections.wait_for(last).await;
        reached.expect("the projection should reach the last event");
        assert!(store.injected() > 0, "no fault was injected");

        let stored = all_events(&reliable, 100).await;
        let positions: Vec<u64> = stored.iter().map(|event| event.position.get()).collect();
        assert_eq!(positions, (1..=last.get()).collect::<Vec<_>>());
        let seen_positions: Vec<_> = seen.iter().map(|event| event.position.get()).collect();
        assert!(
            seen == stored,
            "a subscriber must get the events {positions:?}, but got {seen_positions:?}"
        );
        model.read(|seen| {
            let stored = stored.iter().map(|event| event.position);
            assert!(
                stored.eq(seen.positions.iter().copied()),
                "a projection must get the events {positions:?}, but got {:?}",
                seen.positions
            );
        });
    })
    .await;
}

/// Loads count, sum and version of a counter; retries until the store responds.
async fn state(engine: &Engine, counter: u64) -> (u64, u64, u64) {
    loop {
        match engine.load::<Counter>(&counter).await {
            Ok(state) => return (state.count, state.sum, state.version().get()),
            Err(LoadError::Store(StoreError::Unavailable(_) | StoreError::Interrupted(_))) => {}
            Err(error) => panic!("unexpected error of a load under faults: {error:?}"),
        }
    }
}

/// The state from a snapshot equals a replay, even if snapshots are saved late or not at all.
pub async fn state_from_snapshot_equals_replay_under_faults<B: Backend>() {
    let faults = Faults {
        reads: 0.4,
        pauses: 0.5,
        ..Faults::DELAYS
    };
    with_seeds(async |seed| {
        let backend = B::create().await;
        let store = Faulty::new(backend.open().await, seed, faults);
        let writer = retrying_engine(store.clone());
        for expected in 1..=23 {
            let outcome = count(writer.clone(), 1, "a writer".to_owned(), None).await;
            assert!(
                matches!(outcome, RequestOutcome::Executed(_)),
                "the count must succeed after retries, but ended with {outcome:?}"
            );
            // A new engine has no cached state, so it loads a snapshot if one is available.
            let found = state(&Engine::new(store.clone()), 1).await;
            let sum = expected * (expected + 1) / 2;
            let expected = (expected, sum, expected);
            assert_eq!(found, expected, "count, sum and version from a snapshot");
        }
        let reliable = backend.open().await;
        let with = state(&Engine::new(reliable.clone()), 1).await;
        reliable
            .clear_snapshots()
            .await
            .expect("the snapshots should be cleared");
        let without = state(&Engine::new(backend.open().await), 1).await;
        assert_eq!(with, without);
        assert_eq!(without, (23, 23 * 24 / 2, 23));
    })
    .await;
}

/// Appends three events to two streams; returns whether they are stored, or `None` if that is unknown.
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
        Err(error) => panic!("unexpected error of an append under faults: {error:?}"),
    }
}

/// An append to several streams stays atomic under faults, for every reader.
pub async fn multi_stream_append_is_atomic_under_faults<B: Backend>() {
    const APPENDS: u64 = 60;
    with_seeds(async |seed| {
        let backend = B::create().await;
        let store = Faulty::new(backend.open().await, seed, Faults::default());
        let reliable = backend.open().await;
        let delayed = Faulty::new(reliable.clone(), seed, Faults::DELAYS);
        let done = Arc::new(AtomicBool::new(false));
        let readers = [
            tokio::spawn(check_newest_appends(reliable.clone(), done.clone())),
            tokio::spawn(check_oldest_appends(delayed, done.clone())),
        ];
        let appends = (0..APPENDS).map(|n| tokio::spawn(append_three(store.clone(), n)));
        let results = join_all(appends.collect::<Vec<_>>()).await;
        done.store(true, SeqCst);
        join_all(readers).await;
        assert!(store.injected() > 0, "no fault was injected");

        let mut stored: HashMap<u64, usize> = HashMap::new();
        for event in all_events(&reliable, 50).await {
            *stored.entry(number(&event)).or_default() += 1;
        }
        for (n, result) in (0_u64..).zip(results) {
            let events = stored.get(&n).copied().unwrap_or(0);
            match result {
                Some(true) => assert_eq!(events, 3, "events of append {n}, which succeeded"),
                Some(false) => assert_eq!(events, 0, "events of append {n}, which failed"),
                None => assert!(
                    [0, 3].contains(&events),
                    "append {n} must store 0 or 3 events, but stored {events}"
                ),
            }
        }
    })
    .await;
}
