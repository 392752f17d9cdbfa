//! Cases about commands under faults: retries, idempotency and correct results.

use std::collections::HashMap;
use std::time::Duration;

use super::engine::{CountInGroup, Counter, Full, retrying_engine};
use super::faults::{RequestOutcome, count, with_seeds};
use super::harness::{Backend, all_events, join_all};
use crate::{Faults, Faulty};
use factum_core::store::Store;
use factum_engine::engine::{Engine, ExecuteError, Receipt, RetryPolicy};
use factum_engine::error::StoreError;
use factum_engine::record::RecordedEvent;

/// Creates an engine that tries a command `attempts` times, with short pauses.
fn engine_with_attempts(store: impl Store, attempts: u32) -> Engine {
    let retry = RetryPolicy {
        attempts,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(20),
    };
    Engine::builder(store).retry(retry).build()
}

/// Returns the events of the store, grouped by caller.
async fn by_caller(store: &impl Store) -> HashMap<String, Vec<RecordedEvent>> {
    let mut callers: HashMap<String, Vec<RecordedEvent>> = HashMap::new();
    for event in all_events(store, 100).await {
        let caller = event.metadata.reason.clone();
        let caller = caller.expect("the metadata should name the caller");
        callers.entry(caller).or_default().push(event);
    }
    callers
}

/// Asserts that the counter was incremented `count` times, by one each time.
async fn assert_counted(engine: &Engine, counter: u64, count: u64) {
    let state = engine.load::<Counter>(&counter).await;
    let state = state.expect("the counter should load");
    let found = (state.count, state.sum, state.version().get());
    let expected = (count, count * (count + 1) / 2, count);
    assert_eq!(
        found, expected,
        "count, sum and version of counter {counter}"
    );
}

/// A command with an idempotency key is executed once, and every call returns the first result.
pub async fn commands_with_keys_execute_once_under_faults<B: Backend>() {
    const KEYS: u64 = 16;
    with_seeds(async |seed| {
        let backend = B::create().await;
        let stores = [
            Faulty::new(backend.open().await, seed, Faults::default()),
            Faulty::new(backend.open().await, seed + 100, Faults::default()),
        ];
        let engines = stores.clone().map(|store| engine_with_attempts(store, 30));
        // Each request is sent three times concurrently, on both engines and for two counters.
        let send = |engine: &Engine, key: u64| {
            let (engine, name) = (engine.clone(), format!("req-{key}"));
            tokio::spawn(count(engine, key % 2, name.clone(), Some(name)))
        };
        let requests: Vec<u64> = (0..3).flat_map(|_| 0..KEYS).collect();
        let tasks = requests.iter().enumerate();
        let tasks: Vec<_> = tasks.map(|(n, key)| send(&engines[n % 2], *key)).collect();
        let outcomes = join_all(tasks).await;
        assert!(
            stores.iter().all(|store| store.injected() > 0),
            "no fault was injected into one of the stores"
        );

        let reliable = backend.open().await;
        for (caller, events) in by_caller(&reliable).await {
            assert_eq!(events.len(), 1, "the number of executions of {caller}");
        }
        // The last request of each key runs without faults: it executes the command or repeats its result.
        let engine = retrying_engine(reliable.clone());
        let mut last = Vec::new();
        for key in 0..KEYS {
            let outcome = send(&engine, key).await.expect("the task should not panic");
            let RequestOutcome::Executed(receipt) = outcome else {
                panic!("req-{key} must succeed without faults, but ended with {outcome:?}");
            };
            last.push(receipt);
        }
        for (key, outcome) in requests.iter().zip(&outcomes) {
            if let RequestOutcome::Executed(receipt) = outcome {
                let last = &last[*key as usize];
                assert!(
                    last.repeated(),
                    "req-{key} was acknowledged but executed again"
                );
                assert_eq!(receipt.events(), last.events(), "events of req-{key}");
                assert_eq!(receipt.versions(), last.versions(), "versions of req-{key}");
                assert_eq!(receipt.position(), last.position(), "position of req-{key}");
            }
        }
        let stored = by_caller(&reliable).await;
        assert_eq!(stored.len() as u64, KEYS);
        for (caller, events) in &stored {
            assert_eq!(events.len(), 1, "the number of executions of {caller}");
        }
        for counter in 0..2 {
            assert_counted(&engine, counter, KEYS / 2).await;
        }
    })
    .await;
}

/// A command without an idempotency key is executed at most once.
///
/// The engine retries after `Unavailable` and does not retry after `Interrupted`.
pub async fn commands_without_keys_execute_at_most_once_under_faults<B: Backend>() {
    const CALLS: u64 = 12;
    let always = |faults| async move {
        let backend = B::create().await;
        let store = Faulty::new(backend.open().await, 1, faults);
        let engine = engine_with_attempts(store.clone(), 30);
        for call in 0..CALLS {
            let outcome = count(engine.clone(), 1, call.to_string(), None).await;
            assert_eq!(outcome, RequestOutcome::Unknown, "call {call}");
        }
        assert_eq!(
            store.injected(),
            CALLS,
            "each command must send one append; retries after a lost response are not allowed"
        );
        all_events(store.store(), 100).await.len() as u64
    };
    let unsent = Faults {
        unsent: 1.0,
        ..Faults::NONE
    };
    assert_eq!(always(unsent).await, 0);
    let unanswered = Faults {
        unanswered: 1.0,
        ..Faults::NONE
    };
    assert_eq!(always(unanswered).await, CALLS);

    with_seeds(async |seed| {
        let unavailable = Faults {
            rejected: 0.25,
            rolled_back: 0.25,
            reads: 0.25,
            ..Faults::DELAYS
        };
        let backend = B::create().await;
        let store = Faulty::new(backend.open().await, seed, unavailable);
        let engine = retrying_engine(store.clone());
        for call in 0..CALLS {
            let outcome = count(engine.clone(), 1, call.to_string(), None).await;
            assert!(
                matches!(outcome, RequestOutcome::Executed(_)),
                "call {call} must succeed after retries, but ended with {outcome:?}"
            );
        }
        assert!(store.injected() > 0, "no fault was injected");
        assert_counted(&Engine::new(backend.open().await), 1, CALLS).await;
    })
    .await;
}

/// The result of a command matches the events in the store.
///
/// Success means one execution, failure means none, and an unknown outcome means at most one.
pub async fn command_results_match_stored_events_under_faults<B: Backend>() {
    let lossy = Faults {
        unanswered: 0.3,
        reads: 0.3,
        ..Faults::default()
    };
    let repeating = Faults {
        twice: 1.0,
        reads: 0.5,
        ..Faults::NONE
    };
    with_seeds(async |seed| {
        for faults in [lossy, repeating] {
            assert_results_match_stored_events::<B>(seed, faults).await;
        }
    })
    .await;
}

async fn assert_results_match_stored_events<B: Backend>(seed: u64, faults: Faults) {
    const CALLS: u64 = 48;
    let backend = B::create().await;
    let store = Faulty::new(backend.open().await, seed, faults);
    // With few attempts many calls end with an error.
    let engines = [1, 3].map(|attempts| engine_with_attempts(store.clone(), attempts));
    let calls = (0..CALLS).map(|call| {
        let key = (call % 3 > 0).then(|| format!("req-{call}"));
        let (engine, counter) = (engines[call as usize % 2].clone(), call % 4);
        tokio::spawn(count(engine, counter, call.to_string(), key))
    });
    let outcomes = join_all(calls.collect::<Vec<_>>()).await;
    let stored = by_caller(&backend.open().await).await;
    for (call, outcome) in outcomes.iter().enumerate() {
        let events = stored.get(&call.to_string());
        let events = events.map_or(&[][..], Vec::as_slice);
        let matches = match outcome {
            RequestOutcome::Executed(receipt) => receipt.events() == events,
            RequestOutcome::NotExecuted => events.is_empty(),
            RequestOutcome::Unknown => events.len() <= 1,
        };
        assert!(
            matches,
            "call {call} ended with {outcome:?}, but the store has {events:?}"
        );
    }
}

/// Counts in a group of at most four, with a key; returns `None` if the outcome is unknown.
async fn join(engine: Engine, key: u64) -> Option<Result<Receipt, Full>> {
    let command = CountInGroup {
        counter: key,
        group: "few".to_owned(),
        limit: 4,
    };
    let command = engine.execute(command).because(key.to_string());
    match command.idempotency_key(format!("req-{key}")).await {
        Ok(receipt) => Some(Ok(receipt)),
        Err(ExecuteError::Rejected(full)) => Some(Err(full)),
        Err(ExecuteError::Store(StoreError::Unavailable(_) | StoreError::Interrupted(_))) => None,
        Err(error) => panic!("unexpected error of a count in a group: {error:?}"),
    }
}

/// A limit that a DCB query checks holds under faults.
///
/// A key never gets both a success and a rejection.
pub async fn dcb_limit_holds_under_faults<B: Backend>() {
    const KEYS: u64 = 10;
    with_seeds(async |seed| {
        let backend = B::create().await;
        // The commands of one engine share the state of the query, so only commands of different engines race.
        let mut engines = Vec::new();
        for number in 0..6 {
            let store = Faulty::new(backend.open().await, seed + 100 * number, Faults::default());
            engines.push(engine_with_attempts(store, 30));
        }
        let requests: Vec<u64> = (0..4).flat_map(|_| 0..KEYS).collect();
        let tasks = requests.iter().enumerate();
        let tasks =
            tasks.map(|(n, key)| tokio::spawn(join(engines[n % engines.len()].clone(), *key)));
        let results = join_all(tasks.collect::<Vec<_>>()).await;

        let reliable = retrying_engine(backend.open().await);
        let mut last = Vec::new();
        for key in 0..KEYS {
            let result = join(reliable.clone(), key).await;
            last.push(result.expect("the outcome should be known without faults"));
        }
        let stored = by_caller(&backend.open().await).await;
        assert_eq!(stored.len(), 4, "the number of members of a group of four");
        for (caller, events) in &stored {
            assert_eq!(events.len(), 1, "the number of executions of req-{caller}");
        }
        for (key, result) in requests.iter().zip(results) {
            match (result, &last[*key as usize]) {
                (Some(Ok(receipt)), Ok(last)) => assert_eq!(receipt.events(), last.events()),
                (Some(Err(_)), Err(_)) | (None, _) => {}
                (result, last) => {
                    panic!("req-{key} ended with {result:?}, and when repeated with {last:?}")
                }
            }
        }
    })
    .await;
}
