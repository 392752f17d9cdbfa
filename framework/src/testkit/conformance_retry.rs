//! Commands under faults: tried again where they cannot happen twice, and answered truly.

use std::collections::HashMap;
use std::time::Duration;

use super::conformance::{Backend, all, everything};
use super::conformance_engine::{CountInGroup, Counter, Full, patient};
use super::conformance_faults::{Answer, count, with_seeds};
use super::{Faults, Faulty};
use crate::engine::{Engine, ExecuteError, Receipt, RetryPolicy};
use crate::error::StoreError;
use crate::record::RecordedEvent;
use crate::store::Store;

/// An engine that tries `attempts` times, without long pauses.
fn hasty(store: impl Store, attempts: u32) -> Engine {
    let retry = RetryPolicy {
        attempts,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(20),
    };
    Engine::builder(store).retry(retry).build()
}

/// The events of the store by the caller that they are of.
async fn by_caller(store: &impl Store) -> HashMap<String, Vec<RecordedEvent>> {
    let mut callers: HashMap<String, Vec<RecordedEvent>> = HashMap::new();
    for event in everything(store, 100).await {
        let caller = event.metadata.reason.clone().expect("a caller");
        callers.entry(caller).or_default().push(event);
    }
    callers
}

/// Counted to `count` one by one: each number once.
async fn assert_counted(engine: &Engine, counter: u64, count: u64) {
    let state = engine.load::<Counter>(&counter).await.expect("a counter");
    let found = (state.count, state.sum, state.version().get());
    assert_eq!(found, (count, count * (count + 1) / 2, count));
}

/// Commands with keys happen once under faults, however often they are asked for, and every answer is the first.
pub async fn commands_with_keys_execute_once_under_faults<B: Backend>() {
    const KEYS: u64 = 16;
    with_seeds(async |seed| {
        let place = B::create().await;
        let stores = [
            Faulty::new(place.open().await, seed, Faults::default()),
            Faulty::new(place.open().await, seed + 100, Faults::default()),
        ];
        let engines = stores.clone().map(|store| hasty(store, 30));
        // Each request three times, at once and over both engines; on two counters.
        let ask = |engine: &Engine, key: u64| {
            let (engine, name) = (engine.clone(), format!("req-{key}"));
            tokio::spawn(count(engine, key % 2, name.clone(), Some(name)))
        };
        let requests: Vec<u64> = (0..3).flat_map(|_| 0..KEYS).collect();
        let asked = requests.iter().enumerate();
        let asked: Vec<_> = asked.map(|(n, key)| ask(&engines[n % 2], *key)).collect();
        let answers = all(asked).await;
        assert!(
            stores.iter().all(|store| store.injected() > 0),
            "no fault was met"
        );

        let sound = place.open().await;
        for (caller, events) in by_caller(&sound).await {
            assert_eq!(events.len(), 1, "{caller} happened {} times", events.len());
        }
        // Asked once more, where nothing fails: what was not done is done now.
        let engine = patient(sound.clone());
        let mut firsts = Vec::new();
        for key in 0..KEYS {
            let asked = ask(&engine, key).await.expect("an answer");
            let Answer::Done(first) = asked else {
                panic!("a sound store ended req-{key} with {asked:?}");
            };
            firsts.push(first);
        }
        for (key, answer) in requests.iter().zip(&answers) {
            if let Answer::Done(receipt) = answer {
                let first = &firsts[*key as usize];
                assert!(first.repeated(), "req-{key} was acknowledged, and not kept");
                assert_eq!(receipt.events(), first.events(), "req-{key}");
                assert_eq!(receipt.versions(), first.versions(), "req-{key}");
                assert_eq!(receipt.position(), first.position(), "req-{key}");
            }
        }
        let stored = by_caller(&sound).await;
        assert_eq!(stored.len() as u64, KEYS);
        assert!(stored.values().all(|events| events.len() == 1));
        for counter in 0..2 {
            assert_counted(&engine, counter, KEYS / 2).await;
        }
    })
    .await;
}

/// Without keys no command happens twice: a lost answer is not asked for again, a store that is not there is.
pub async fn commands_without_keys_execute_at_most_once_under_faults<B: Backend>() {
    const CALLS: u64 = 12;
    let always = |faults| async move {
        let place = B::create().await;
        let store = Faulty::new(place.open().await, 1, faults);
        let engine = hasty(store.clone(), 30);
        for call in 0..CALLS {
            let answer = count(engine.clone(), 1, call.to_string(), None).await;
            assert_eq!(answer, Answer::Interrupted, "call {call}");
        }
        assert_eq!(store.injected(), CALLS, "a lost answer was asked for again");
        everything(store.store(), 100).await.len() as u64
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
        let not_there = Faults {
            rejected: 0.25,
            rolled_back: 0.25,
            reads: 0.25,
            ..Faults::DELAYS
        };
        let place = B::create().await;
        let store = Faulty::new(place.open().await, seed, not_there);
        let engine = patient(store.clone());
        for call in 0..CALLS {
            let answer = count(engine.clone(), 1, call.to_string(), None).await;
            assert!(matches!(answer, Answer::Done(_)), "call {call}: {answer:?}");
        }
        assert!(store.injected() > 0, "no fault was met");
        assert_counted(&Engine::new(place.open().await), 1, CALLS).await;
    })
    .await;
}

/// An answer tells what happened: done is done once, not done is not done, and lost is done once at most.
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
            answers_tell_what_happened::<B>(seed, faults).await;
        }
    })
    .await;
}

async fn answers_tell_what_happened<B: Backend>(seed: u64, faults: Faults) {
    const CALLS: u64 = 48;
    let place = B::create().await;
    let store = Faulty::new(place.open().await, seed, faults);
    // Few attempts, so that many calls end with an error.
    let engines = [1, 3].map(|attempts| hasty(store.clone(), attempts));
    let calls = (0..CALLS).map(|call| {
        let key = (call % 3 > 0).then(|| format!("req-{call}"));
        let (engine, counter) = (engines[call as usize % 2].clone(), call % 4);
        tokio::spawn(count(engine, counter, call.to_string(), key))
    });
    let answers = all(calls.collect::<Vec<_>>()).await;
    let stored = by_caller(&place.open().await).await;
    for (call, answer) in answers.iter().enumerate() {
        let events = stored.get(&call.to_string());
        let events = events.map_or(&[][..], Vec::as_slice);
        let told = match answer {
            Answer::Done(receipt) => receipt.events() == events,
            Answer::NotDone => events.is_empty(),
            Answer::Interrupted => events.len() <= 1,
        };
        assert!(told, "call {call}: {answer:?}, stored are {events:?}");
    }
}

/// Asks for a place in a group of four, under a key. `None`: what became of it is not known.
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
        Err(error) => panic!("a count in a group under faults ended with {error:?}"),
    }
}

/// A tag query holds its limit under faults, and who has a place is never rejected it.
pub async fn dcb_limit_holds_under_faults<B: Backend>() {
    const KEYS: u64 = 10;
    with_seeds(async |seed| {
        let place = B::create().await;
        let engines = [
            Faulty::new(place.open().await, seed, Faults::default()),
            Faulty::new(place.open().await, seed + 100, Faults::default()),
        ]
        .map(|store| hasty(store, 30));
        let requests: Vec<u64> = (0..4).flat_map(|_| 0..KEYS).collect();
        let asked = requests.iter().enumerate();
        let asked = asked.map(|(n, key)| tokio::spawn(join(engines[n % 2].clone(), *key)));
        let answers = all(asked.collect::<Vec<_>>()).await;

        let sound = patient(place.open().await);
        let mut last = Vec::new();
        for key in 0..KEYS {
            last.push(join(sound.clone(), key).await.expect("an answer"));
        }
        let stored = by_caller(&place.open().await).await;
        assert_eq!(stored.len(), 4, "places in a group of four");
        assert!(stored.values().all(|events| events.len() == 1));
        for (key, answer) in requests.iter().zip(answers) {
            match (answer, &last[*key as usize]) {
                (Some(Ok(receipt)), Ok(first)) => assert_eq!(receipt.events(), first.events()),
                (Some(Err(_)), Err(_)) | (None, _) => {}
                (answer, last) => panic!("req-{key} ended with {answer:?}, and then with {last:?}"),
            }
        }
    })
    .await;
}
