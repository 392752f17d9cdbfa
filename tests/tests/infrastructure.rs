//! Failures that are not those of an event: an outage that a handler sees, a clock that was wrong, and a schedule that two
//! nodes decide differently.

#[path = "support/metric_snapshot.rs"]
mod metric_snapshot;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::engine::{ExecuteAndWaitError, LoadError, RetryPolicy};
use factum::prelude::*;
use factum::process::{Deadline, Rejection};
use factum::runtime::{
    ConsumerState, ControlError, EventHandler, FailurePolicy, HandlerError, HandlerOptions,
    Schedule, StartError, WaitError,
};
use factum::store::{
    Append, AppendError, Appended, CopyError, Document, DocumentChanges, DocumentEffect,
    DocumentError, DocumentStore, EventStore, IdempotencyKey, Outage, Page, Read, Revision, Scan,
    StoreError, async_trait, error_chain,
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
enum StockError {
    #[error("the stock cannot be read")]
    Read(#[source] StoreError),
    #[error("the kettle cannot be filled")]
    Fill(#[from] ExecuteError<NotNow>),
    #[error(transparent)]
    Boil(#[from] ExecuteAndWaitError<Infallible, WaitError>),
    #[error(transparent)]
    Count(Box<Self>),
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("the disk is full".into())
}

fn interrupted() -> StoreError {
    StoreError::Interrupted("the connection was reset".into())
}

/// Returns every error of the framework that contains an outage, in the wrappers that users write.
fn outages() -> Vec<HandlerError> {
    use factum::privacy::KeyError;
    use factum_sqlite::SqlError;

    let after = Position::ZERO;
    let execute = || ExecuteError::<NotNow>::Store(unavailable());
    let and_wait = || ExecuteAndWaitError::from(ExecuteError::Store(interrupted()));
    let projection = || ExecuteError::<NotNow>::Projection {
        name: "stock".into(),
        error: SqlError::Store(unavailable()).into(),
    };
    let append = AppendError::Store(unavailable());
    let copy = CopyError::Source {
        after,
        error: unavailable(),
    };
    let copy_into = CopyError::Append {
        after,
        error: append,
    };
    vec![
        unavailable().into(),
        interrupted().into(),
        execute().into(),
        projection().into(),
        and_wait().into(),
        LoadError::Store(unavailable()).into(),
        AppendError::Store(interrupted()).into(),
        DocumentError::Store(unavailable()).into(),
        ControlError::Store(unavailable()).into(),
        StartError::Store(unavailable()).into(),
        SqlError::Store(unavailable()).into(),
        KeyError::Store(unavailable()).into(),
        copy.into(),
        copy_into.into(),
        StockError::Read(unavailable()).into(),
        StockError::from(execute()).into(),
        StockError::from(and_wait()).into(),
        StockError::Count(Box::new(StockError::Fill(projection()))).into(),
        anyhow::Error::from(unavailable()).into(),
        anyhow::Error::from(execute()).into(),
        anyhow::Error::from(execute()).context("no stock").into(),
        anyhow::Error::from(StockError::from(and_wait())).into(),
        Arc::new(execute()).into(),
        std::io::Error::other(execute()).into(),
    ]
}

#[test]
fn outage_is_found_in_every_error() {
    for outage in outages() {
        assert!(Outage::is_in(&*outage), "{outage:?}");
    }
    let others: [HandlerError; 6] = [
        "the disk is full".into(),
        std::io::Error::from(std::io::ErrorKind::StorageFull).into(),
        StoreError::Failed("not a database".into()).into(),
        ExecuteError::Rejected(NotNow).into(),
        ExecuteError::<NotNow>::Store(StoreError::Closed).into(),
        anyhow::Error::from(NotNow).into(),
    ];
    for other in others {
        assert!(!Outage::is_in(&*other), "{other:?}");
    }
}

#[test]
fn outage_shows_the_error_of_the_backend() {
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    let StoreError::Unavailable(outage) = StoreError::Unavailable(full().into()) else {
        panic!("it is unavailable")
    };
    assert_eq!(outage.to_string(), full().to_string());
    assert!(outage.get_ref().is::<std::io::Error>());
    let text = error_chain(&ExecuteError::<NotNow>::Store(StoreError::Unavailable(
        outage,
    )));
    let expected = format!("{}: {}", unavailable(), full());
    assert_eq!(text, expected);
}

#[tokio::test]
async fn outage_in_a_handler_is_no_failure_of_the_event() {
    let once = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    let failures: [fn() -> HandlerError; 3] = [
        || interrupted().into(),
        || ExecuteError::<NotNow>::Store(unavailable()).into(),
        || anyhow::Error::from(LoadError::Store(unavailable())).into(),
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

/// Loads a state and executes a command.
struct Boils(Engine);

impl EventHandler<KettleEvent> for Boils {
    async fn handle(&self, event: &Recorded<KettleEvent>) -> Result<(), HandlerError> {
        if let KettleEvent::Filled { id } = event.event {
            let key = event.record.id.to_string();
            let kettle = self.0.load::<Kettle>(&id).await?;
            if !kettle.exists() {
                return Err("the kettle does not exist".into());
            }
            let boil = Boil { id: id + 100 };
            self.0.execute(boil).idempotency_key(key).await?;
        }
        Ok(())
    }
}

/// The store fails so often that the engine and the consumer use up their attempts.
#[tokio::test]
async fn command_of_a_handler_survives_an_outage() {
    const KETTLES: u64 = 30;
    let once = RetryPolicy {
        attempts: 1,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    let faults = Faults {
        rejected: 0.3,
        unsent: 0.2,
        unanswered: 0.2,
        reads: 0.5,
        ..Faults::NONE
    };
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let faulty = Faulty::new(store, 5, faults);
    let failing = Engine::builder(faulty.clone()).retry(once.clone()).build();
    let options = HandlerOptions::new(StartFrom::Beginning).failure_policy(FailurePolicy::Stop);
    let runtime = Runtime::builder(&engine)
        .retry(once)
        .handler("boils", Boils(failing), options)
        .start()
        .await
        .unwrap();
    for id in 0..KETTLES {
        engine.execute(Fill { id }).await.unwrap();
    }
    let idle = timeout(LONG, runtime.wait_until_idle());
    idle.await.unwrap().unwrap();
    let boils = runtime.handler("boils").unwrap();
    assert_eq!(boils.dead_letters().await.unwrap(), []);
    for id in 0..KETTLES {
        let boiled = engine.load::<Kettle>(&(id + 100)).await.unwrap();
        assert_eq!(boiled.version().get(), 1);
    }
    assert!(faulty.injected() > KETTLES, "{}", faulty.injected());
    runtime.stop().await;
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

/// Returns the number of bytes of changed documents that the commands of one reaction cause.
async fn bytes_of_reaction(commands: u64) -> usize {
    let (store, bytes) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let engine = Engine::new(Counting {
        store,
        bytes: bytes.clone(),
    });
    let builder = Runtime::builder(&engine).process::<Storm>(StartFrom::Beginning);
    let runtime = builder.start().await.expect("the runtime starts");
    let filled = engine.execute(Fill { id: commands }).await;
    filled.expect("the command is stored");
    let idle = timeout(LONG, runtime.wait_until_idle()).await;
    idle.expect("it ends in time").expect("nothing fails");
    runtime.stop().await;
    for kettle in 0..commands {
        let boiled = engine.load::<Kettle>(&kettle).await;
        let boiled = boiled.expect("the kettle is loaded");
        assert_eq!(boiled.version().get(), 1);
    }
    bytes.load(SeqCst)
}

/// The instance with the commands is one document, which is not stored for each of them.
#[tokio::test]
async fn bytes_of_a_reaction_are_linear_in_its_commands() {
    let (few, many) = (bytes_of_reaction(100).await, bytes_of_reaction(1_600).await);
    assert!(many < 2 * 16 * few, "{few} {many}");
}
