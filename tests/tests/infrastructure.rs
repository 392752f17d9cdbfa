//! Failures that are not those of an event: an outage that a handler sees, a clock that was wrong, and a schedule that two
//! nodes decide differently.

#[path = "support/metric_snapshot.rs"]
mod metric_snapshot;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::process::{Deadline, Rejection};
use factum::runtime::{ConsumerState, EventHandler, HandlerError, Schedule};
use factum::store::{
    Append, AppendError, Appended, Document, DocumentChanges, DocumentEffect, DocumentError,
    DocumentStore, EventStore, IdempotencyKey, Page, Read, Revision, Scan, StoreError, async_trait,
};
use factum_memory::MemoryStore;
use factum_sqlite::{SqliteStore, rusqlite};
use factum_testkit::{Faults, Faulty, VirtualClock};
use metric_snapshot::MetricSnapshot;
use metrics_util::debugging::DebuggingRecorder;
use tokio::sync::watch;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "kettle")]
enum KettleEvent {
    Filled { id: u64 },
    Boiled,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "kettle", id = u64, event = KettleEvent)]
struct Kettle;

impl Apply<KettleEvent> for Kettle {
    fn apply(&mut self, _: &KettleEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Kettle)]
struct Fill {
    #[id]
    id: u64,
}

impl Decide for Fill {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Kettle) -> Result<Events<KettleEvent>, Self::Error> {
        Ok(KettleEvent::Filled { id: self.id }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Kettle)]
struct Boil {
    #[id]
    id: u64,
}

impl Decide for Boil {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Kettle) -> Result<Events<KettleEvent>, Self::Error> {
        Ok(KettleEvent::Boiled.into())
    }
}

/// A handler that fails a few times.
struct Fails {
    left: AtomicU32,
    failure: fn() -> HandlerError,
}

impl EventHandler<KettleEvent> for Fails {
    async fn handle(&self, _: &Recorded<KettleEvent>) -> Result<(), HandlerError> {
        let left = self
            .left
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err((self.failure)()),
            Err(_) => Ok(()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the stock cannot be read")]
struct StockError(#[source] StoreError);

#[tokio::test]
async fn outage_in_a_handler_is_no_failure_of_the_event() {
    let once = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    let failures: [fn() -> HandlerError; 3] = [
        || StoreError::Interrupted("gone".into()).into(),
        || StockError(StoreError::Unavailable("disk full".into())).into(),
        || factum::engine::LoadError::Store(StoreError::Unavailable("locked".into())).into(),
    ];
    for failure in failures {
        let engine = Engine::new(MemoryStore::new());
        let left = AtomicU32::new(20);
        let runtime = Runtime::builder(&engine)
            .retry(once.clone())
            .handler("stock", Fails { left, failure }, StartFrom::Beginning)
            .start()
            .await
            .unwrap();
        let stock = runtime.handler("stock").unwrap();
        let mut status = stock.watch();
        let head = engine.execute(Fill { id: 1 }).await.unwrap().position();
        let retries = status.wait_for(|status| status.state == ConsumerState::Retrying);
        drop(timeout(LONG, retries).await.unwrap().unwrap());
        timeout(LONG, stock.wait_for(head)).await.unwrap().unwrap();
        assert_eq!(stock.dead_letters().await.unwrap(), []);
        runtime.stop().await;
    }
}

#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(name = "boiling", id = u64, events = KettleEvent, commands = Boil)]
struct Boiling;

impl Apply<KettleEvent> for Boiling {
    fn apply(&mut self, _: &KettleEvent) {}
}

impl React<KettleEvent> for Boiling {
    fn correlate(event: &Recorded<KettleEvent>) -> Correlation<u64> {
        match event.event {
            KettleEvent::Filled { id } => Correlation::Starts(id),
            KettleEvent::Boiled => Correlation::Ignored,
        }
    }

    fn react(&self, _: &Recorded<KettleEvent>, then: &mut Reactions<Self>) {
        then.deadline("hot", Duration::from_millis(100));
    }
}

impl Respond for Boiling {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        then.send(Boil { id: 9 });
    }
}

/// A node had a wrong clock once, so all recorded times are far in the future.
#[tokio::test]
async fn deadline_fires_after_a_clock_was_wrong_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kettles.db");
    let store = SqliteStore::open(&file).await.unwrap();
    Engine::new(store.clone())
        .execute(Boil { id: 7 })
        .await
        .unwrap();
    store.close().await;
    let connection = rusqlite::Connection::open(&file).unwrap();
    let wrong = "update factum_event set recorded_at = 4102444800000000";
    connection.execute(wrong, []).unwrap();
    drop(connection);

    let store = SqliteStore::open(&file).await.unwrap();
    let engine = Engine::new(store.clone());
    let builder = Runtime::builder(&engine).process::<Boiling>(StartFrom::Beginning);
    let runtime = builder.start().await.unwrap();
    engine.execute(Fill { id: 1 }).await.unwrap();
    let boiled = async {
        while !engine.load::<Kettle>(&9).await.unwrap().exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, boiled).await.unwrap();
    runtime.stop().await;
    store.close().await;
}

static DECISIONS: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, thiserror::Error)]
#[error("not now")]
struct NotNow;

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Kettle)]
struct Clean {
    #[id]
    id: u64,
}

impl Decide for Clean {
    type Error = NotNow;

    fn decide(&self, _: &Kettle) -> Result<Events<KettleEvent>, NotNow> {
        match DECISIONS.fetch_add(1, SeqCst).is_multiple_of(2) {
            true => Err(NotNow),
            false => Ok(KettleEvent::Boiled.into()),
        }
    }
}

/// Every second decision is a rejection, so two nodes that decide on one run differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedule_run_is_executed_or_rejected_once() {
    const RUNS: u64 = 40;
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let (store, clock) = (MemoryStore::new(), VirtualClock::new());
    // Simulates the latency of a database.
    let slow = Faults {
        pauses: 1.0,
        longest_pause: Duration::from_millis(2),
        ..Faults::NONE
    };
    let mut runtimes = Vec::new();
    for seed in 1..=3 {
        let store = Faulty::new(store.clone(), seed, slow);
        let engine = Engine::builder(store).clock(clock.clone()).build();
        let schedule = Schedule::cron("clean", "* * * * *", |_| Clean { id: 3 }).unwrap();
        let builder = Runtime::builder(&engine).schedule(schedule);
        runtimes.push(builder.start().await.unwrap());
    }
    for runtime in &runtimes {
        runtime.wait_until_idle().await.unwrap();
    }
    for _ in 0..RUNS {
        clock.advance(Duration::from_secs(60));
        for runtime in &runtimes {
            let idle = timeout(LONG, runtime.wait_until_idle());
            idle.await.unwrap().unwrap();
        }
    }
    for runtime in &runtimes {
        runtime.stop().await;
    }
    let kettle = Engine::new(store);
    let executed = kettle.load::<Kettle>(&3).await.unwrap().version().get();
    let snapshot = MetricSnapshot::new(&snapshotter);
    let work = snapshot.of("factum_process_work_total{process=schedules,outcome=");
    let count = |outcome: &str| {
        let found = work.iter().find(|(rest, _)| *rest == outcome);
        found.map_or(0, |(_, count)| *count as u64)
    };
    let (done, rejected) = (count("done}"), count("rejected}"));
    assert_eq!((done, done + rejected), (executed, RUNS), "{rejected}");
}

/// A store that counts the bytes of changed documents.
struct Counting {
    store: MemoryStore,
    bytes: Arc<AtomicUsize>,
}

#[async_trait]
impl DocumentStore for Counting {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        for change in changes.as_slice() {
            if let DocumentEffect::Put(value) = &change.effect {
                self.bytes.fetch_add(value.len(), SeqCst);
            }
        }
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.store.scan_documents(scan).await
    }
}

#[async_trait]
impl EventStore for Counting {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] Counting, |this| this.store);

/// Sends as many commands as the id of the kettle that was filled.
#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(name = "storm", id = u64, events = KettleEvent, commands = Boil)]
struct Storm;

impl Apply<KettleEvent> for Storm {
    fn apply(&mut self, _: &KettleEvent) {}
}

impl React<KettleEvent> for Storm {
    fn correlate(event: &Recorded<KettleEvent>) -> Correlation<u64> {
        match event.event {
            KettleEvent::Filled { id } => Correlation::Starts(id),
            KettleEvent::Boiled => Correlation::Ignored,
        }
    }

    fn react(&self, event: &Recorded<KettleEvent>, then: &mut Reactions<Self>) {
        if let KettleEvent::Filled { id } = event.event {
            for kettle in 0..id {
                then.send(Boil { id: kettle });
            }
        }
    }
}

impl Respond for Storm {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

/// The instance with the commands is one document, which is not stored for each of them.
#[tokio::test]
async fn many_commands_of_a_reaction_change_few_bytes() {
    const COMMANDS: u64 = 400;
    let (store, bytes) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let engine = Engine::new(Counting {
        store,
        bytes: bytes.clone(),
    });
    let builder = Runtime::builder(&engine).process::<Storm>(StartFrom::Beginning);
    let runtime = builder.start().await.unwrap();
    engine.execute(Fill { id: COMMANDS }).await.unwrap();
    let idle = timeout(LONG, runtime.wait_until_idle());
    idle.await.unwrap().unwrap();
    runtime.stop().await;
    for kettle in 0..COMMANDS {
        let boiled = engine.load::<Kettle>(&kettle).await.unwrap();
        assert_eq!(boiled.version().get(), 1);
    }
    // Each command would change half of the document on average.
    let bytes = bytes.load(SeqCst);
    assert!(bytes < 2_000_000, "{bytes}");
}
