//! Cases about projections: effects, leases and dead letters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::faults::with_seeds;
use super::harness::{Backend, all_events, event, events, number, put};
use crate::{Faults, Faulty};
use factum_core::document::{DocumentChanges, DocumentStore, Revision, Scan};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::store::Store;
use factum_engine::engine::{Engine, RetryPolicy};
use factum_engine::record::{NewEvent, RecordedEvent};
use factum_runtime::Runtime;
use factum_runtime::consumer::{
    Batch, BatchError, Consumer, ConsumerState, EventError, ReadModel, fencing_test,
};
use factum_runtime::projections::ProjectionHandle;

const NAME: &str = "contract marks";
const LEASE: Duration = Duration::from_millis(150);
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 3,
    base: Duration::from_millis(1),
    cap: Duration::from_millis(5),
};

/// A read model with a document for each stream, which lists the positions of its projected events.
///
/// The documents change together with the checkpoint.
#[derive(Clone, Default)]
struct Marks {
    /// Whether events with the number [`POISON`] can be projected.
    fixed: Arc<AtomicBool>,
}

/// The number of an event that cannot be projected.
const POISON: u64 = 1_000;

fn key(build: u64, stream: &str) -> String {
    format!("marks/{build}/{stream}")
}

async fn marks(
    documents: &dyn DocumentStore,
    keys: &[String],
) -> Result<BTreeMap<String, Vec<u64>>, BatchError> {
    let found = documents.find_documents(keys).await?;
    let marks = found
        .iter()
        .map(|document| Ok((document.key.clone(), document.decode()?)));
    marks.collect()
}

impl Marks {
    fn check(&self, event: &RecordedEvent) -> Result<(), EventError> {
        let poison = event.name != "contract.numbered"
            || number(event) == POISON && !self.fixed.load(SeqCst);
        if poison {
            return Err(EventError::handler(event.position, "poison"));
        }
        Ok(())
    }
}

impl Consumer for Marks {
    fn name(&self) -> &str {
        NAME
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn partitions(&self) -> u16 {
        2
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let keys: Vec<_> = batch
            .events
            .iter()
            .map(|event| key(batch.build, event.stream.as_str()))
            .collect();
        let mut marks = marks(batch.documents, &keys).await?;
        for (event, key) in batch.events.iter().zip(keys) {
            self.check(event)?;
            marks.entry(key).or_default().push(event.position.get());
        }
        let effects = marks
            .into_iter()
            .fold(DocumentChanges::new(), |effects, (key, marks)| {
                let marks = serde_json::to_string(&marks);
                effects.put(key, marks.expect("numbers should serialize"))
            });
        let changes = batch.changes.clone().with(effects);
        Batch { changes, ..batch }.commit().await
    }
}

impl ReadModel for Marks {
    fn version(&self) -> u32 {
        1
    }
}

async fn run(store: impl Store, marks: Marks) -> Runtime {
    let builder = Runtime::builder(&Engine::new(store)).lease(LEASE);
    builder
        .retry(RETRY)
        .projection(marks)
        .start()
        .await
        .expect("the runtime should start")
}

fn handle(projections: &Runtime) -> ProjectionHandle {
    let handle = projections.projection_named(NAME);
    handle.expect("the projection should run")
}

async fn wait_for(projections: &Runtime, position: Position) {
    let reached = projections.wait_for(position).await;
    reached.unwrap_or_else(|error| panic!("the projection must reach {position}: {error}"));
}

/// Asserts that every event except those at the positions `without` was projected once, in order.
async fn assert_equals_replay(store: &impl Store, without: &[u64]) {
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in all_events(store, 100).await {
        let position = event.position.get();
        if !without.contains(&position) {
            let marks = expected.entry(key(1, event.stream.as_str())).or_default();
            marks.push(position);
        }
    }
    let keys: Vec<_> = expected.keys().cloned().collect();
    let found = marks(store, &keys).await;
    let found = found.expect("the documents should be readable");
    assert_eq!(
        found, expected,
        "each stream must have the positions of its events once and in order"
    );
    let all = store.scan_documents(Scan::prefix("marks/")).await;
    let all = all.expect("the document scan should succeed");
    assert_eq!(all.len(), expected.len(), "the number of documents");
}

/// Each event is projected once and in order on two nodes under faults.
///
/// One of the nodes stops without a shutdown.
pub async fn projection_applies_each_event_once_under_faults<B: Backend>() {
    with_seeds(async |seed| {
        let backend = B::create().await;
        let reliable = backend.open().await;
        let faulty = |seed, store| Faulty::new(store, seed, Faults::default());
        let first = faulty(seed, reliable.clone());
        let second = faulty(seed + 100, backend.open().await);
        let crashed = run(first.clone(), Marks::default()).await;
        let surviving = run(second.clone(), Marks::default()).await;
        let mut last = Position::ZERO;
        for turn in 0..30 {
            let id = format!("contract-{}", turn % 7);
            last = put(&reliable, &id, events([turn, turn + 1])).await.position;
            if turn == 15 {
                wait_for(&surviving, last).await;
            }
        }
        drop(crashed);
        wait_for(&surviving, last).await;
        assert!(second.injected() > 0, "no fault was injected");
        assert_equals_replay(&reliable, &[]).await;
    })
    .await;
}

/// Later events of a stream wait after a dead letter and are projected in order after a retry.
///
/// Other streams continue, and dead letters survive a restart.
pub async fn dead_letter_blocks_only_its_own_stream<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let unknown = NewEvent {
        name: "contract.unheard_of".into(),
        ..event(1)
    };
    put(&store, "contract-a", events([1, POISON, 2])).await;
    put(&store, "contract-b", vec![unknown]).await;
    put(&store, "contract-c", events([3])).await;
    let last = put(&store, "contract-b", events([4])).await.position;
    let model = Marks::default();
    let projections = run(store.clone(), model.clone()).await;
    wait_for(&projections, last).await;
    assert_equals_replay(&store, &[2, 3, 4, 6]).await;
    let dead_letters = async |projections: &Runtime| -> Vec<u64> {
        let listed = handle(projections).dead_letters().await;
        let listed = listed.expect("the dead letters should be readable");
        listed.iter().map(|letter| letter.position.get()).collect()
    };
    assert_eq!(dead_letters(&projections).await, [2, 3, 4, 6]);
    projections.stop().await;

    let store = backend.open().await;
    let projections = run(store.clone(), model.clone()).await;
    let wait_for_count = async |count| {
        let mut status = handle(&projections).watch();
        let reached = status.wait_for(|status| status.dead_letters == count).await;
        drop(reached.expect("the projection should run"));
    };
    wait_for_count(4).await;
    model.fixed.store(true, SeqCst);
    let retried = handle(&projections).retry_all().await;
    retried.expect("the retry should be accepted");
    wait_for_count(2).await;
    assert_eq!(dead_letters(&projections).await, [4, 6]);
    let discarded = handle(&projections)
        .discard(Position::new(4), "unheard of")
        .await;
    discarded.expect("the discard should be accepted");
    wait_for_count(0).await;
    assert_eq!(
        dead_letters(&projections).await,
        [4],
        "a discarded dead letter must stay listed"
    );
    assert_equals_replay(&store, &[4]).await;
    let last = put(&store, "contract-b", events([5])).await.position;
    wait_for(&projections, last).await;
    assert_equals_replay(&store, &[4]).await;
    assert_eq!(projections.status()[0].state, ConsumerState::Live);
    projections.stop().await;
}

/// An owner that was paused for longer than its lease cannot write; the new owner can.
pub async fn stale_lease_owner_cannot_write<B: Backend>() {
    let backend = B::create().await;
    let owner = backend.open().await;
    let other = backend.open().await;
    assert_eq!(
        fencing_test(&owner, &other).await,
        [true, false, true],
        "writes of the owner before and after it lost its lease, and of the new owner"
    );
}

/// A read model outside the store, which applies events before their checkpoint is written.
#[derive(Clone, Default)]
struct ExternalModel {
    applied: Arc<Mutex<Vec<u64>>>,
}

impl Consumer for ExternalModel {
    fn name(&self) -> &str {
        "contract elsewhere"
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let positions = batch.events.iter().map(|event| event.position.get());
        self.applied
            .lock()
            .expect("the lock should be free")
            .extend(positions);
        batch.commit().await
    }
}

impl ReadModel for ExternalModel {
    fn version(&self) -> u32 {
        1
    }
}

/// A read model outside the store gets every event at least once under faults, in order.
///
/// It can detect repeated events by their positions.
pub async fn external_read_model_gets_every_event_under_faults<B: Backend>() {
    with_seeds(async |seed| {
        let backend = B::create().await;
        let reliable = backend.open().await;
        let store = Faulty::new(reliable.clone(), seed, Faults::default());
        let model = ExternalModel::default();
        let builder = Runtime::builder(&Engine::new(store.clone())).lease(LEASE);
        let projections = builder.retry(RETRY).projection(model.clone()).start().await.expect("the runtime should start");
        let mut last = Position::ZERO;
        for turn in 0..60 {
            last = put(&reliable, &format!("contract-{}", turn % 7), events([turn]))
                .await
                .position;
            if turn % 8 == 0 {
                wait_for(&projections, last).await;
            }
        }
        wait_for(&projections, last).await;
        assert!(store.injected() > 0, "no fault was injected");
        let mut highest = 0;
        let applied = model.applied.lock().expect("the lock should be free");
        for position in applied.iter().copied() {
            assert!(
                position <= highest + 1,
                "the event at {position} was projected after {highest}; events between them are missing"
            );
            highest = highest.max(position);
        }
        assert_eq!(highest, last.get(), "the last projected position");
    })
    .await;
}
