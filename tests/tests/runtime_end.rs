//! The end of a runtime: every wait ends with an event or an error, `stop` returns in time, and leases are released.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use factum::Position;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{
    Batch, BatchError, Consumer, ConsumerState, ControlError, EventHandler, HandlerError,
    ReadModel, StartError, WaitError,
};
use factum::store::{DocumentChanges, DocumentStore as _, Query, Revision, StoreError};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;
use factum_tests::load::{Fill, JarEvent};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

#[derive(Projection, Default)]
#[projection(name = "fillings", events = JarEvent)]
struct Fillings(u64);

impl Project<JarEvent> for Fillings {
    fn project(&mut self, _: &Recorded<JarEvent>) {
        self.0 += 1;
    }
}

async fn fill(engine: &Engine, turn: u64) -> Position {
    let filled = Fill::new("end", turn).execute(engine).await.unwrap();
    Position::new(filled.position)
}

fn shut_down(error: &WaitError) -> bool {
    matches!(error, WaitError::ShutDown { .. })
}

/// Checks that every wait and request of a runtime that has ended returns an error.
async fn assert_ended(runtime: &Runtime, model: &InMemory<Fillings>, head: Position) {
    let fillings = runtime.projection::<Fillings>().unwrap();
    let mut status = fillings.watch();
    let ended = status.wait_for(|status| status.state == ConsumerState::Ended);
    timeout(LONG, ended).await.unwrap().unwrap();
    let waited = timeout(LONG, fillings.wait_for(head.plus(1)))
        .await
        .unwrap();
    assert!(shut_down(&waited.unwrap_err()));
    for requested in [
        fillings.pause().await,
        fillings.resume().await,
        fillings.retry_all().await,
        fillings.rebuild().await,
    ] {
        let is_expected = matches!(&requested, Err(ControlError::Wait(error)) if shut_down(error));
        assert!(is_expected, "{requested:?}");
    }
    let mut live = pin!(model.live_after(head, |fillings| fillings.0));
    let next = timeout(LONG, live.next()).await.unwrap().unwrap();
    assert!(shut_down(&next.unwrap_err()));
    assert_eq!(live.next().await, None);
}

/// The runtime has one thread: a task that never yields would block the test.
#[tokio::test]
async fn closed_store_ends_in_memory_projection() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("jars.db")).await.unwrap();
    let engine = Engine::new(store.clone());
    let model = InMemory::<Fillings>::new();
    let builder = Runtime::builder(&engine).projection(model.clone());
    let runtime = builder.start().await.unwrap();
    let head = fill(&engine, 0).await;
    runtime.wait_for(head).await.unwrap();
    let fillings = runtime.projection::<Fillings>().unwrap();
    let mut live = pin!(model.live(|fillings| fillings.0));
    assert_eq!(live.next().await, Some(Ok((2, head))));
    let waiting = async {
        let next = live.next().await.unwrap();
        assert!(shut_down(&next.unwrap_err()));
        let waited = fillings.wait_until(|_| false, |_| false).await;
        assert!(shut_down(&waited.unwrap_err()));
    };
    timeout(LONG, async { tokio::join!(store.close(), waiting) })
        .await
        .unwrap();
    assert_ended(&runtime, &model, head).await;
    let idle = timeout(LONG, runtime.wait_until_idle()).await.unwrap();
    assert!(matches!(idle, Err(ControlError::Store(StoreError::Closed))));
    timeout(LONG, runtime.stop()).await.unwrap();
}

#[tokio::test]
async fn stopped_runtime_reports_its_end() {
    let engine = Engine::new(MemoryStore::new());
    let model = InMemory::<Fillings>::new();
    let builder = Runtime::builder(&engine).projection(model.clone());
    let runtime = builder.start().await.unwrap();
    let head = fill(&engine, 0).await;
    runtime.wait_for(head).await.unwrap();
    runtime.stop().await;
    assert_ended(&runtime, &model, head).await;
    assert_eq!(runtime.status()[0].state, ConsumerState::Ended);
    runtime.stop().await;
}

/// A consumer whose code panics outside of `handle`.
struct Panics {
    in_query: bool,
}

impl Consumer for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn query(&self) -> Query {
        assert!(!self.in_query, "no query");
        Query::all()
    }

    fn acquired(&self) {
        assert!(self.in_query, "not acquired");
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        batch.commit().await
    }
}

impl ReadModel for Panics {
    fn version(&self) -> u32 {
        1
    }
}

#[tokio::test]
async fn panic_of_a_worker_ends_waits() {
    for in_query in [true, false] {
        let engine = Engine::new(MemoryStore::new());
        let retry = RetryPolicy {
            attempts: 2,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(1),
        };
        let builder = Runtime::builder(&engine).retry(retry);
        let runtime = builder.projection(Panics { in_query }).start().await;
        let runtime = runtime.unwrap();
        let head = fill(&engine, 0).await;
        let waited = timeout(LONG, runtime.wait_for(head)).await.unwrap();
        let Err(WaitError::Stopped { error, .. }) = waited else {
            panic!("{waited:?}")
        };
        let reason = if in_query { "no query" } else { "not acquired" };
        assert!(error.contains(reason), "{error}");
        runtime.stop().await;
    }
}

/// A handler that never returns.
struct Hangs(Arc<Notify>);

impl EventHandler<JarEvent> for Hangs {
    async fn handle(&self, _: &Recorded<JarEvent>) -> Result<(), HandlerError> {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// A projection that keeps a thread busy until it is released.
#[derive(Projection)]
#[projection(name = "loops", events = JarEvent)]
struct Loops(Arc<AtomicBool>);

impl Project<JarEvent> for Loops {
    fn project(&mut self, _: &Recorded<JarEvent>) {
        while !self.0.load(SeqCst) {
            std::thread::yield_now();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hanging_consumers_do_not_delay_stop_or_others() {
    let engine = Engine::new(MemoryStore::new());
    let (started, released) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let loops = InMemory::from_fn({
        let released = released.clone();
        move || Loops(released.clone())
    });
    let runtime = Runtime::builder(&engine)
        .handler("hangs", Hangs(started.clone()), StartFrom::Beginning)
        .projection(loops)
        .projection(InMemory::<Fillings>::new())
        .stop_timeout(Duration::from_millis(300))
        .start()
        .await
        .unwrap();
    for turn in 0..3 {
        let head = fill(&engine, turn).await;
        let fillings = runtime.projection::<Fillings>().unwrap();
        timeout(LONG, fillings.wait_for(head))
            .await
            .unwrap()
            .unwrap();
    }
    started.notified().await;
    let before = Instant::now();
    timeout(LONG, runtime.stop()).await.unwrap();
    let elapsed = before.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    released.store(true, SeqCst);
}

/// A handler that reports the highest position of its events.
struct Reports(watch::Sender<Position>);

impl EventHandler<JarEvent> for Reports {
    async fn handle(&self, event: &Recorded<JarEvent>) -> Result<(), HandlerError> {
        let position = event.record.position;
        // Streams are handled concurrently.
        self.0.send_modify(|newest| *newest = position.max(*newest));
        Ok(())
    }
}

#[tokio::test]
async fn dropped_runtime_releases_its_leases() {
    let engine = Engine::new(MemoryStore::new());
    let handled = watch::Sender::new(Position::ZERO);
    for turn in 0..3 {
        // Another node would wait for an hour.
        let runtime = Runtime::builder(&engine)
            .lease(Duration::from_secs(3_600))
            .handler("reports", Reports(handled.clone()), StartFrom::Beginning)
            .start()
            .await
            .unwrap();
        let head = fill(&engine, turn).await;
        let mut handled = handled.subscribe();
        let reached = handled.wait_for(|handled| *handled == head);
        timeout(LONG, reached).await.unwrap().unwrap();
        drop(runtime);
    }
}

/// The holder of the lease has died and sends no heartbeat.
#[tokio::test]
async fn lease_of_dead_node_is_reported_and_taken_over() {
    let store = MemoryStore::new();
    let lease = json!({ "position": 0, "holder": uuid::Uuid::from_u128(1) });
    let lease = DocumentChanges::new().put(
        "consumer/handler:reports/0000000001/00000",
        lease.to_string(),
    );
    store.change_documents(lease).await.unwrap();
    let engine = Engine::new(store);
    let handled = watch::Sender::new(Position::ZERO);
    let runtime = Runtime::builder(&engine)
        .lease(Duration::from_secs(1))
        .handler("reports", Reports(handled), StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    let head = fill(&engine, 0).await;
    let mut status = runtime.handler("reports").unwrap().watch();
    let waits = status.wait_for(|status| status.state == ConsumerState::AwaitingLease);
    timeout(LONG, waits).await.unwrap().unwrap();
    timeout(LONG, runtime.wait_for(head))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(runtime.status()[0].state, ConsumerState::Live);
    runtime.stop().await;
}

#[test]
fn runtime_outside_tokio_is_an_error() {
    let engine = Engine::new(MemoryStore::new());
    let builder = Runtime::builder(&engine).projection(InMemory::<Fillings>::new());
    let started = builder.start().now_or_never().unwrap();
    let error = started.unwrap_err();
    assert!(matches!(error, StartError::NoTokioRuntime), "{error}");
    assert!(error.to_string().contains("outside a Tokio runtime"));
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "jar", id = String, event = JarEvent, snapshot(every = 1))]
struct Snapshotted;

impl Apply<JarEvent> for Snapshotted {
    fn apply(&mut self, _: &JarEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Snapshotted)]
struct Stir {
    #[id]
    jar: String,
}

impl Decide for Stir {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Snapshotted) -> Result<Events<JarEvent>, Self::Error> {
        let (command, count) = (self.jar.clone(), 1);
        Ok(JarEvent::Filled { command, count }.into())
    }
}

#[test]
fn engine_works_outside_tokio() {
    let store = MemoryStore::new();
    // Both engines have a cached state, so one of them has a conflict and decides again after a pause.
    let (one, other) = (Engine::new(store.clone()), Engine::new(store));
    let jar = "a".to_owned();
    for engine in [&one, &other, &one, &other] {
        let stir = engine.execute(Stir { jar: jar.clone() });
        stir.into_future().now_or_never().unwrap().unwrap();
    }
    let loaded = one.load::<Snapshotted>(&jar).into_future().now_or_never();
    assert_eq!(loaded.unwrap().unwrap().version().get(), 4);
}
