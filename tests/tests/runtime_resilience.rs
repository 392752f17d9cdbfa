//! The runtime continues or reports an error when reads are slow, user code panics, or a build cannot be prepared; waits
//! end with the runtime.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum::Position;
use factum::engine::RetryPolicy;
use factum::event::UpcastError;
use factum::prelude::*;
use factum::runtime::{
    Batch, BatchError, Consumer, DeadLetterState, EventHandler, FailurePolicy, HandlerError,
    HandlerOptions, ReadModel, WaitError,
};
use factum::store::{
    Append, AppendError, Appended, ContentType, EventStore, ExpectedVersion, IdempotencyKey,
    NewEvent, Page, Query, Read, Revision, StoreError, async_trait,
};
use factum_memory::MemoryStore;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    #[event(version = 2, upcast = panics)]
    Rung { loudness: u32 },
}

#[expect(clippy::unnecessary_wraps, reason = "an upcaster returns a result")]
fn panics(old: Value) -> Result<Value, UpcastError> {
    assert_ne!(old, json!({}), "an empty ring");
    Ok(old)
}

/// Appends an event of this schema version to a stream of its own.
async fn ring(store: &MemoryStore, bell: &str, schema_version: u32, data: &Value) -> Position {
    let event = NewEvent {
        id: uuid::Uuid::now_v7(),
        name: "bell.rung".into(),
        schema_version,
        content_type: ContentType::Json,
        data: data.to_string().into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    };
    let stream = format!("bell-{bell}").parse().unwrap();
    let append = Append::stream(stream, ExpectedVersion::Any, vec![event]);
    store.append(append).await.unwrap().position
}

#[derive(Projection, Default)]
#[projection(name = "rings", events = BellEvent)]
struct Rings(u32);

impl Project<BellEvent> for Rings {
    fn project(&mut self, _: &Recorded<BellEvent>) {
        self.0 += 1;
    }
}

const TWO_ATTEMPTS: RetryPolicy = RetryPolicy {
    attempts: 2,
    base: Duration::from_millis(1),
    cap: Duration::from_millis(1),
};

#[tokio::test]
async fn panic_while_decoding_in_memory_is_a_dead_letter() {
    let store = MemoryStore::new();
    let rings = InMemory::<Rings>::new();
    let runtime = Runtime::builder(&Engine::new(store.clone()))
        .projection(rings.clone())
        .retry(TWO_ATTEMPTS)
        .start()
        .await
        .unwrap();
    ring(&store, "a", 1, &json!({})).await;
    let last = ring(&store, "b", 2, &json!({ "loudness": 3 })).await;
    timeout(LONG, runtime.wait_for(last))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rings.read(|rings| rings.0), 1);
    let letters = runtime.projection::<Rings>().unwrap().dead_letters().await;
    let letters = letters.unwrap();
    let [letter] = &letters[..] else {
        panic!("{letters:?}")
    };
    let is_expected = matches!(&letter.state, DeadLetterState::Failed { error, attempts: 2 }
        if error.contains("an empty ring"));
    assert!(is_expected, "{letter:?}");
    runtime.stop().await;
}

struct FailingHandler;

impl EventHandler<BellEvent> for FailingHandler {
    async fn handle(&self, _: &Recorded<BellEvent>) -> Result<(), HandlerError> {
        Err("no ears".into())
    }
}

#[tokio::test]
async fn panic_of_a_failure_policy_makes_a_dead_letter() {
    let store = MemoryStore::new();
    let policy = FailurePolicy::custom(|_| panic!("no idea"));
    let options = HandlerOptions::new(StartFrom::Beginning).failure_policy(policy);
    let runtime = Runtime::builder(&Engine::new(store.clone()))
        .handler("ears", FailingHandler, options)
        .start()
        .await
        .unwrap();
    let rung = ring(&store, "a", 2, &json!({ "loudness": 3 })).await;
    timeout(LONG, runtime.wait_for(rung))
        .await
        .unwrap()
        .unwrap();
    let letters = runtime
        .handler("ears")
        .unwrap()
        .dead_letters()
        .await
        .unwrap();
    assert_eq!(letters.len(), 1);
    runtime.stop().await;
}

#[tokio::test]
async fn wait_ends_when_the_runtime_stops_or_is_dropped() {
    for is_dropped in [false, true] {
        let store = MemoryStore::new();
        let runtime = Runtime::builder(&Engine::new(store.clone()))
            .projection(InMemory::<Rings>::new())
            .start()
            .await
            .unwrap();
        let rings = runtime.projection::<Rings>().unwrap();
        rings.pause().await.unwrap();
        let rung = ring(&store, "a", 1, &json!({})).await;
        let wait = tokio::spawn({
            let rings = rings.clone();
            async move { rings.wait_for(rung).await }
        });
        if is_dropped {
            drop(runtime);
        } else {
            runtime.stop().await;
        }
        let error = timeout(LONG, wait).await.unwrap().unwrap().unwrap_err();
        let is_expected = matches!(&error, WaitError::ShutDown { name, .. } if name == "rings");
        assert!(is_expected, "{error:?}");
        let later = timeout(LONG, rings.wait_for(rung)).await;
        assert!(matches!(later.unwrap(), Err(WaitError::ShutDown { .. })));
    }
}

/// A store whose reads of the log take longer than any interval of the runtime.
#[derive(Clone)]
struct SlowStore(MemoryStore);

#[async_trait]
impl EventStore for SlowStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        tokio::time::sleep(Duration::from_mins(1)).await;
        self.0.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.0.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.watch()
    }
}

factum::store::delegate!(snapshots, [] SlowStore, |this| this.0);
factum::store::delegate!(documents, [] SlowStore, |this| this.0);

#[tokio::test(start_paused = true)]
async fn slow_read_of_the_first_page_is_not_restarted() {
    let store = MemoryStore::new();
    let rung = ring(&store, "a", 2, &json!({ "loudness": 3 })).await;
    let rings = InMemory::<Rings>::new();
    let runtime = Runtime::builder(&Engine::new(SlowStore(store)))
        .projection(rings.clone())
        .start()
        .await
        .unwrap();
    let waited = timeout(Duration::from_mins(10), runtime.wait_for(rung)).await;
    waited.unwrap().unwrap();
    assert_eq!(rings.read(|rings| rings.0), 1);
    runtime.stop().await;
}

/// A read model outside the store, whose later builds cannot be prepared until that is allowed.
#[derive(Clone, Default)]
struct External {
    handled: watch::Sender<u64>,
    is_ready: Arc<AtomicBool>,
    builds: Arc<Mutex<Vec<u64>>>,
}

impl Consumer for External {
    fn name(&self) -> &str {
        "external"
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let last = batch.events.last().map_or(0, |event| event.position.get());
        if batch.build == 1 {
            self.handled.send_replace(last);
        }
        batch.commit().await
    }
}

impl ReadModel for External {
    fn version(&self) -> u32 {
        1
    }

    async fn prepare(&self, build: u64) -> Result<(), BatchError> {
        self.builds.lock().unwrap().push(build);
        if build > 1 && !self.is_ready.load(SeqCst) {
            return Err(BatchError::ReadModel("no disk for another build".into()));
        }
        Ok(())
    }
}

#[tokio::test]
async fn build_that_cannot_be_prepared_does_not_stop_the_active_one() {
    let store = MemoryStore::new();
    let model = External::default();
    let runtime = Runtime::builder(&Engine::new(store.clone()))
        .projection(model.clone())
        .retry(TWO_ATTEMPTS)
        .start()
        .await
        .unwrap();
    let external = runtime.projection_named("external").unwrap();
    let first = ring(&store, "a", 2, &json!({ "loudness": 1 })).await;
    external.wait_for(first).await.unwrap();

    let rebuilt = timeout(LONG, external.rebuild()).await.unwrap();
    assert!(rebuilt.is_err(), "{rebuilt:?}");
    // The active build continues, also after a pause, which must reach its worker.
    external.pause().await.unwrap();
    external.resume().await.unwrap();
    let second = ring(&store, "a", 2, &json!({ "loudness": 2 })).await;
    let mut handled = model.handled.subscribe();
    let handled = handled.wait_for(|position| *position == second.get());
    timeout(LONG, handled).await.unwrap().unwrap();

    model.is_ready.store(true, SeqCst);
    external.resume().await.unwrap();
    let built = async {
        while external.status().build < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, built).await.unwrap();
    runtime.stop().await;
}
