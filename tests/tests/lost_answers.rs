//! What a command says when its store is not there: tried with every fate that a few hundred seeds hold.

use std::time::Duration;

use factum::prelude::*;
use factum::testkit::{Faults, Faulty};
use factum::{EventStore as _, RetryPolicy, StoreError};
use factum_memory::MemoryStore;

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

/// How often each answer was given.
#[derive(Debug, Default)]
struct Acknowledged {
    done: u32,
    not_done: u32,
    not_known: u32,
}

/// Lights one lamp with each of the seeds, and holds the answer against what is stored.
async fn told(faults: Faults, attempts: u32, key: Option<&str>) -> Acknowledged {
    let retry = RetryPolicy {
        attempts,
        base: Duration::from_micros(1),
        cap: Duration::from_millis(100),
    };
    let mut told = Acknowledged::default();
    for seed in 0..400 {
        let store = Faulty::new(MemoryStore::new(), seed, faults);
        let engine = Engine::builder(store.clone()).retry(retry.clone()).build();
        let mut command = engine.execute(Light { lamp: 1 });
        if let Some(key) = key {
            command = command.idempotency_key(key);
        }
        let answer = command.await;
        let stored = store.store().watch().borrow().get();
        match answer {
            Ok(receipt) => {
                assert_eq!((stored, receipt.events().len()), (1, 1), "seed {seed}");
                told.done += 1;
            }
            Err(ExecuteError::Store(StoreError::Unavailable(cause))) => {
                assert_eq!(stored, 0, "seed {seed}: not available, by {cause}");
                told.not_done += 1;
            }
            Err(ExecuteError::Store(StoreError::Interrupted(cause))) => {
                assert!(stored <= 1, "seed {seed}: {stored} events, by {cause}");
                told.not_known += 1;
            }
            Err(error) => panic!("seed {seed}: {error:?}"),
        }
    }
    told
}

const LOSSY: Faults = Faults {
    rejected: 0.2,
    unsent: 0.2,
    unanswered: 0.3,
    reads: 0.3,
    ..Faults::NONE
};

#[tokio::test]
async fn an_answer_that_was_lost_is_told_when_the_store_is_gone_at_the_last_try() {
    let Acknowledged {
        done,
        not_done,
        not_known,
    } = told(LOSSY, 3, Some("req-7")).await;
    assert!(done > 0 && not_done > 0 && not_known > 0);
}

#[tokio::test]
async fn a_receipt_that_cannot_be_read_does_not_say_that_nothing_was_done() {
    let repeating = Faults {
        twice: 1.0,
        reads: 0.4,
        ..Faults::NONE
    };
    let told = told(repeating, 1, Some("req-7")).await;
    assert!(told.not_known > 0, "{told:?}");
}

#[tokio::test]
async fn a_read_that_was_lost_did_nothing() {
    let reads = Faults {
        reads: 0.6,
        ..Faults::NONE
    };
    for key in [Some("req-7"), None] {
        let told = told(reads, 1, key).await;
        assert!(told.not_done > 0, "{told:?}");
        assert_eq!(told.not_known, 0);
    }
}

#[tokio::test]
async fn without_a_key_a_lost_answer_is_not_asked_for_again() {
    let lost = Faults {
        unsent: 0.5,
        unanswered: 0.5,
        ..Faults::NONE
    };
    let told = told(lost, 5, None).await;
    assert_eq!((told.done, told.not_done, told.not_known), (0, 0, 400));
}
