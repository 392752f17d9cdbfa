//! Results of commands whose requests or responses are lost, for hundreds of random faults.

use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::store::{EventStore as _, StoreError};
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Lit,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Light {
    #[id]
    lamp: u32,
}

impl Decide for Light {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(LampEvent::Lit.into())
    }
}

/// The number of results of each kind.
#[derive(Debug, Default)]
struct Results {
    done: u32,
    not_done: u32,
    unknown: u32,
}

/// Lights one lamp with each seed, and compares the result with the stored events.
async fn run(faults: Faults, attempts: u32, key: Option<&str>) -> Results {
    let retry = RetryPolicy {
        attempts,
        base: Duration::from_micros(1),
        cap: Duration::from_millis(100),
    };
    let mut results = Results::default();
    for seed in 0..400 {
        let store = Faulty::new(MemoryStore::new(), seed, faults);
        let engine = Engine::builder(store.clone()).retry(retry.clone()).build();
        let mut command = engine.execute(Light { lamp: 1 });
        if let Some(key) = key {
            command = command.idempotency_key(key);
        }
        let result = command.await;
        let stored = store.store().watch().borrow().get();
        match result {
            Ok(receipt) => {
                assert_eq!((stored, receipt.events().len()), (1, 1), "seed {seed}");
                results.done += 1;
            }
            Err(ExecuteError::Store(StoreError::Unavailable(cause))) => {
                assert_eq!(
                    stored, 0,
                    "seed {seed}: stored despite unavailable store: {cause}"
                );
                results.not_done += 1;
            }
            Err(ExecuteError::Store(StoreError::Interrupted(cause))) => {
                assert!(
                    stored <= 1,
                    "seed {seed}: {stored} stored events, error: {cause}"
                );
                results.unknown += 1;
            }
            Err(error) => panic!("seed {seed}: {error:?}"),
        }
    }
    results
}

const LOSSY: Faults = Faults {
    rejected: 0.2,
    unsent: 0.2,
    unanswered: 0.3,
    reads: 0.3,
    ..Faults::NONE
};

#[tokio::test]
async fn lost_response_is_reported_as_unknown_result() {
    let Results {
        done,
        not_done,
        unknown,
    } = run(LOSSY, 3, Some("req-7")).await;
    assert!(done > 0 && not_done > 0 && unknown > 0);
}

#[tokio::test]
async fn unreadable_receipt_is_not_reported_as_failure() {
    let repeating = Faults {
        twice: 1.0,
        reads: 0.4,
        ..Faults::NONE
    };
    let results = run(repeating, 1, Some("req-7")).await;
    assert!(results.unknown > 0, "{results:?}");
}

#[tokio::test]
async fn failed_read_has_no_effect() {
    let reads = Faults {
        reads: 0.6,
        ..Faults::NONE
    };
    for key in [Some("req-7"), None] {
        let results = run(reads, 1, key).await;
        assert!(results.not_done > 0, "{results:?}");
        assert_eq!(results.unknown, 0);
    }
}

#[tokio::test]
async fn unkeyed_command_is_not_retried_after_lost_response() {
    let losses = Faults {
        unsent: 0.5,
        unanswered: 0.5,
        ..Faults::NONE
    };
    let results = run(losses, 5, None).await;
    assert_eq!(
        (results.done, results.not_done, results.unknown),
        (0, 0, 400)
    );
}
