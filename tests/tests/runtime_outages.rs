//! An outage of the store that lasts longer than all attempts of the policies: everything continues afterwards.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum::Position;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::process::{Deadline, Rejection};
use factum::runtime::{
    ConsumerState, EventHandler, FailurePolicy, HandlerError, HandlerOptions, ProcessOptions,
    Schedule,
};
use factum::store::{
    Append, AppendError, Appended, Document, DocumentChanges, DocumentError, DocumentStore,
    EventStore, IdempotencyKey, Page, Query, Read, Revision, Scan, StoreError, async_trait,
};
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;
use tokio::sync::watch;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);

/// A store that is unavailable while the switch is set.
#[derive(Clone, Default)]
struct Switched {
    store: MemoryStore,
    is_unavailable: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
}

impl Switched {
    fn check(&self) -> Result<(), StoreError> {
        if self.is_unavailable.load(SeqCst) {
            self.refused.fetch_add(1, SeqCst);
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl EventStore for Switched {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.check()?;
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.check()?;
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.check()?;
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

#[async_trait]
impl DocumentStore for Switched {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.check()?;
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.check()?;
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.check()?;
        self.store.scan_documents(scan).await
    }
}

factum::store::delegate!(snapshots, [] Switched, |this| this.store);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "oven")]
enum OvenEvent {
    Lit { id: u64 },
    Noted { by: String },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "oven", id = u64, event = OvenEvent)]
struct Oven;

impl Apply<OvenEvent> for Oven {
    fn apply(&mut self, _: &OvenEvent) {}
}

/// Stores the name of the task that executes it.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Oven)]
struct Note {
    #[id]
    id: u64,
    by: String,
}

fn note(by: &str) -> Note {
    let (id, by) = (0, by.to_owned());
    Note { id, by }
}

impl Decide for Note {
    type Error = Infallible;

    fn decide(&self, _: &Oven) -> Result<Events<OvenEvent>, Infallible> {
        let by = self.by.clone();
        Ok(OvenEvent::Noted { by }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Oven)]
struct Light {
    #[id]
    id: u64,
}

impl Decide for Light {
    type Error = Infallible;

    fn decide(&self, _: &Oven) -> Result<Events<OvenEvent>, Infallible> {
        let lit = Events::from(OvenEvent::Lit { id: self.id });
        Ok(lit.deadline("hot", MINUTE, note("deadline")))
    }
}

#[derive(Projection, Default)]
#[projection(name = "ovens", events = OvenEvent)]
struct Ovens {
    lit: u64,
}

impl Project<OvenEvent> for Ovens {
    fn project(&mut self, event: &Recorded<OvenEvent>) {
        self.lit += u64::from(matches!(event.event, OvenEvent::Lit { .. }));
    }
}

struct Notes(Engine);

impl EventHandler<OvenEvent> for Notes {
    async fn handle(&self, event: &Recorded<OvenEvent>) -> Result<(), HandlerError> {
        if let OvenEvent::Lit { .. } = event.event {
            let key = event.record.id.to_string();
            let note = note("handler");
            self.0.execute(note).idempotency_key(key).await?;
        }
        Ok(())
    }
}

#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(name = "baking", id = u64, events = OvenEvent, commands = Note)]
struct Baking;

impl Apply<OvenEvent> for Baking {
    fn apply(&mut self, _: &OvenEvent) {}
}

impl React<OvenEvent> for Baking {
    fn correlate(event: &Recorded<OvenEvent>) -> Correlation<u64> {
        match event.event {
            OvenEvent::Lit { id } => Correlation::Starts(id),
            OvenEvent::Noted { .. } => Correlation::Ignored,
        }
    }

    fn react(&self, _: &Recorded<OvenEvent>, then: &mut Reactions<Self>) {
        then.send(note("process"));
        then.deadline("done", MINUTE);
    }
}

impl Respond for Baking {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        then.send(note("process deadline"));
    }
}

/// Captured log output.
#[derive(Clone, Default)]
struct LogOutput(Arc<Mutex<Vec<u8>>>);

impl Write for LogOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl LogOutput {
    /// Returns how often each message was logged for each consumer, without the fields that differ.
    fn messages(&self) -> BTreeMap<String, usize> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let mut messages = BTreeMap::new();
        for line in text.lines() {
            let fields = [
                "error=",
                "failures=",
                "pause=",
                "outage=",
                "attempt=",
                "tries=",
            ];
            let words = line.split_whitespace().skip(1);
            let message: Vec<&str> = words
                .take_while(|word| !fields.iter().any(|field| word.starts_with(field)))
                .collect();
            *messages.entry(message.join(" ")).or_default() += 1;
        }
        messages
    }
}

async fn notes(store: &MemoryStore) -> BTreeMap<String, usize> {
    let page = store.read(Read::all(Query::all())).await.unwrap();
    let mut notes = BTreeMap::new();
    for event in page.events {
        if event.name == "oven.noted" {
            let noted: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
            let by = noted["by"].as_str().unwrap().to_owned();
            *notes.entry(by).or_default() += 1;
        }
    }
    notes
}

/// Waits until all consumers have this state.
async fn wait_for_states(runtime: &Runtime, expected: ConsumerState) {
    for consumer in runtime.consumers() {
        let mut status = consumer.watch();
        let reached = status.wait_for(|status| status.state == expected);
        drop(timeout(LONG, reached).await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn everything_continues_after_a_long_outage() {
    let output = LogOutput::default();
    let writer = output.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _logs = tracing::subscriber::set_default(subscriber);

    let (store, clock) = (Switched::default(), VirtualClock::new());
    let short = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    let builder = Engine::builder(store.clone()).clock(clock.clone());
    let engine = builder.retry(short.clone()).build();
    let schedule = Schedule::cron("tick", "* * * * *", |_| note("schedule")).unwrap();
    let handler = HandlerOptions::new(StartFrom::Beginning).failure_policy(FailurePolicy::Stop);
    let process = ProcessOptions::new(StartFrom::Beginning).failure_policy(FailurePolicy::Stop);
    let runtime = Runtime::builder(&engine)
        .retry(short)
        .lease(Duration::from_millis(300))
        .projection(InMemory::<Ovens>::new())
        .handler("notes", Notes(engine.clone()), handler)
        .process::<Baking>(process)
        .deadlines::<Note>()
        .schedule(schedule)
        .start()
        .await
        .unwrap();
    engine.execute(Light { id: 1 }).await.unwrap();
    let idle = timeout(LONG, runtime.wait_until_idle());
    idle.await.unwrap().unwrap();
    let before = notes(&store.store).await;
    let expected = ["handler", "process"].map(|by| (by.to_owned(), 1));
    assert_eq!(before, BTreeMap::from(expected));
    wait_for_states(&runtime, ConsumerState::Live).await;

    // The event is stored, and everything becomes due, while nothing else can be read or written.
    store.is_unavailable.store(true, SeqCst);
    let lit = Engine::builder(store.store.clone())
        .clock(clock.clone())
        .build();
    let head = lit.execute(Light { id: 2 }).await.unwrap().position();
    clock.advance(MINUTE);
    wait_for_states(&runtime, ConsumerState::Retrying).await;
    let refused = store.refused.load(SeqCst);
    let many = async {
        while store.refused.load(SeqCst) < refused + 500 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, many).await.unwrap();
    wait_for_states(&runtime, ConsumerState::Retrying).await;
    store.is_unavailable.store(false, SeqCst);

    let caught_up = timeout(LONG, runtime.wait_for(head));
    caught_up.await.unwrap().unwrap();
    let idle = timeout(LONG, runtime.wait_until_idle());
    idle.await.unwrap().unwrap();
    wait_for_states(&runtime, ConsumerState::Live).await;
    clock.advance(MINUTE);
    let idle = timeout(LONG, runtime.wait_until_idle());
    idle.await.unwrap().unwrap();
    for consumer in runtime.consumers() {
        assert_eq!(consumer.dead_letters().await.unwrap(), []);
    }
    let tasks = [
        "deadline",
        "handler",
        "process",
        "process deadline",
        "schedule",
    ];
    let expected = tasks.map(|by| (by.to_owned(), 2));
    assert_eq!(notes(&store.store).await, BTreeMap::from(expected));
    runtime.stop().await;

    // Each part logs the begin and the end of the outage, and not each try.
    let messages = output.messages();
    let repeated: Vec<_> = messages.iter().filter(|(_, count)| **count > 2).collect();
    assert!(repeated.is_empty(), "{repeated:#?}");
    let count = |text: &str| messages.keys().filter(|it| it.contains(text)).count();
    assert!(count("consumer failed, retrying") > 0, "{messages:#?}");
    assert!(count("consumer continues") > 0, "{messages:#?}");
    assert!(count("cannot load due work") > 0, "{messages:#?}");
    assert!(count("due work can be loaded again") > 0, "{messages:#?}");
}
