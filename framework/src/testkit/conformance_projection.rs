//! Projections over the documents of a store: their effects, their leases, what they park.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::conformance::{Backend, event, events, everything, number, put};
use super::conformance_faults::with_seeds;
use super::{Faults, Faulty};
use crate::document::{Changes, DocumentStore, Revision, Scan};
use crate::engine::{Engine, RetryPolicy};
use crate::position::Position;
use crate::projections::{
    EventError, ProjectionState, Projections, ReadModel, Step, StepError, fence,
};
use crate::query::Query;
use crate::record::{NewEvent, RecordedEvent};
use crate::store::Store;

const NAME: &str = "contract marks";
const LEASE: Duration = Duration::from_millis(150);
const PATIENT: RetryPolicy = RetryPolicy {
    attempts: 3,
    base: Duration::from_millis(1),
    cap: Duration::from_millis(5),
};

/// The effect of an event is a document, changed together with the checkpoint: for each stream the positions that were
/// taken, in the order in which they were.
#[derive(Clone, Default)]
struct Marks {
    /// An event with this number is poison, until this is mended.
    mended: Arc<AtomicBool>,
}

const POISON: u64 = 1_000;

fn key(build: u64, stream: &str) -> String {
    format!("marks/{build}/{stream}")
}

async fn marks(
    documents: &dyn DocumentStore,
    keys: &[String],
) -> Result<BTreeMap<String, Vec<u64>>, StepError> {
    let found = documents.find_documents(keys).await?;
    let marks = found
        .iter()
        .map(|document| Ok((document.key.clone(), document.decode()?)));
    marks.collect()
}

impl Marks {
    fn take(&self, event: &RecordedEvent) -> Result<(), EventError> {
        let poison = event.name != "contract.numbered"
            || number(event) == POISON && !self.mended.load(SeqCst);
        if poison {
            return Err(EventError::new(event.position, "poison".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl ReadModel for Marks {
    fn name(&self) -> &str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn partitions(&self) -> u16 {
        2
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        let keys: Vec<_> = step
            .events
            .iter()
            .map(|event| key(step.build, event.stream.as_str()))
            .collect();
        let mut marks = marks(step.documents, &keys).await?;
        for (event, key) in step.events.iter().zip(keys) {
            self.take(event)?;
            marks.entry(key).or_default().push(event.position.get());
        }
        let effects = marks
            .into_iter()
            .fold(Changes::new(), |effects, (key, marks)| {
                effects.put(key, serde_json::to_string(&marks).expect("numbers"))
            });
        let changes = step.changes.clone().with(effects);
        Step { changes, ..step }.change().await
    }
}

fn run(store: impl Store, marks: Marks) -> Projections {
    let builder = Projections::builder(&Engine::new(store)).lease(LEASE);
    builder.retry(PATIENT).with(marks).start()
}

/// What must be there once every event but those `without` has had its effect once.
async fn assert_is_a_replay(store: &impl Store, without: &[u64]) {
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in everything(store, 100).await {
        let position = event.position.get();
        if !without.contains(&position) {
            let marks = expected.entry(key(1, event.stream.as_str())).or_default();
            marks.push(position);
        }
    }
    let keys: Vec<_> = expected.keys().cloned().collect();
    let found = marks(store, &keys).await.expect("marks can be read");
    assert_eq!(found, expected, "each event has its effect once, in order");
    let all = store.scan_documents(Scan::prefix("marks/")).await;
    assert_eq!(all.expect("a scan").len(), expected.len());
}

/// Two instances under faults, one of which is gone without a word: each event has its effect once, in order.
pub async fn projection_applies_each_event_once_under_faults<B: Backend>() {
    with_seeds(async |seed| {
        let place = B::create().await;
        let sound = place.open().await;
        let faulty = |seed, store| Faulty::new(store, seed, Faults::default());
        let first = faulty(seed, sound.clone());
        let second = faulty(seed + 100, place.open().await);
        let gone = run(first.clone(), Marks::default());
        let stays = run(second.clone(), Marks::default());
        let mut last = Position::ZERO;
        for turn in 0..30 {
            let id = format!("contract-{}", turn % 7);
            last = put(&sound, &id, events([turn, turn + 1])).await.position;
            if turn == 15 {
                stays.wait_for(last).await.expect("it goes on");
            }
        }
        drop(gone);
        stays.wait_for(last).await.expect("it goes on");
        assert!(second.injected() > 0, "no fault was met");
        assert_is_a_replay(&sound, &[]).await;
    })
    .await;
}

/// What cannot be taken waits with its stream, also over a restart, and is taken in order in the end.
pub async fn dead_letter_blocks_only_its_own_stream<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let strange = NewEvent {
        name: "contract.unheard_of".into(),
        ..event(1)
    };
    put(&store, "contract-a", events([1, POISON, 2])).await;
    put(&store, "contract-b", vec![strange]).await;
    put(&store, "contract-c", events([3])).await;
    let last = put(&store, "contract-b", events([4])).await.position;
    let poisoned = Marks::default();
    let projections = run(store.clone(), poisoned.clone());
    projections.wait_for(last).await.expect("it goes on");
    assert_is_a_replay(&store, &[2, 3, 4, 6]).await;
    let places = async |projections: &Projections| -> Vec<u64> {
        let letters = projections.dead_letters(NAME).await;
        let letters = letters.expect("dead letters can be read");
        letters.iter().map(|letter| letter.position.get()).collect()
    };
    assert_eq!(places(&projections).await, [2, 3, 4, 6]);
    projections.stop().await;

    let store = place.open().await;
    let projections = run(store.clone(), poisoned.clone());
    let parked = async |count| {
        let mut status = projections.watch(NAME).expect("it runs");
        let parked = status.wait_for(|status| status.parked == count).await;
        drop(parked.expect("it runs"));
    };
    parked(4).await;
    poisoned.mended.store(true, SeqCst);
    projections.retry(NAME).await.expect("an order");
    parked(2).await;
    assert_eq!(places(&projections).await, [4, 6]);
    let discarded = projections
        .discard(NAME, Position::new(4), "unheard of")
        .await;
    discarded.expect("an order");
    parked(0).await;
    assert_eq!(places(&projections).await, [4], "kept on record");
    assert_is_a_replay(&store, &[4]).await;
    let last = put(&store, "contract-b", events([5])).await.position;
    projections.wait_for(last).await.expect("it goes on");
    assert_is_a_replay(&store, &[4]).await;
    assert_eq!(projections.status()[0].state, ProjectionState::Live);
    projections.stop().await;
}

/// Whatever an owner writes that was paused for longer than its lease is rejected, and so is its order to itself.
pub async fn stale_lease_owner_cannot_write<B: Backend>() {
    let place = B::create().await;
    let owner = place.open().await;
    let other = place.open().await;
    assert_eq!(fence(&owner, &other).await, [true, false, true]);
}

/// Takes events ahead of their checkpoint, in a place of its own.
#[derive(Clone, Default)]
struct Elsewhere {
    taken: Arc<Mutex<Vec<u64>>>,
}

#[async_trait]
impl ReadModel for Elsewhere {
    fn name(&self) -> &str {
        "contract elsewhere"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        let places = step.events.iter().map(|event| event.position.get());
        self.taken.lock().expect("no panic").extend(places);
        step.change().await
    }
}

/// A read model that is not in the store gets every event at least once under faults, in order, with positions to
/// deduplicate by.
pub async fn external_read_model_gets_every_event_under_faults<B: Backend>() {
    with_seeds(async |seed| {
        let place = B::create().await;
        let sound = place.open().await;
        let store = Faulty::new(sound.clone(), seed, Faults::default());
        let model = Elsewhere::default();
        let builder = Projections::builder(&Engine::new(store.clone())).lease(LEASE);
        let projections = builder.retry(PATIENT).with(model.clone()).start();
        let mut last = Position::ZERO;
        for turn in 0..60 {
            last = put(&sound, &format!("contract-{}", turn % 7), events([turn]))
                .await
                .position;
            if turn % 8 == 0 {
                projections.wait_for(last).await.expect("it goes on");
            }
        }
        projections.wait_for(last).await.expect("it goes on");
        assert!(store.injected() > 0, "no fault was met");
        let mut highest = 0;
        for position in model.taken.lock().expect("no panic").iter().copied() {
            assert!(position <= highest + 1, "{position} comes after {highest}");
            highest = highest.max(position);
        }
        assert_eq!(highest, last.get());
    })
    .await;
}
