//! Stored work that this program cannot decode or execute blocks nothing else, and no wait hangs.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use factum::Position;
use factum::engine::RetryPolicy;
use factum::event::UpcastError;
use factum::prelude::*;
use factum::runtime::{
    EventHandler, FailedDelivery, HandlerError, RuntimeBuilder, Schedule, StartError,
};
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Query, Read, StoreError,
};
use factum::store::{Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan};
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;
use tokio::sync::watch;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    Wound { bell: u32 },
    Repaired { bell: u32 },
    Rang { bell: u32 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "bell", id = u32, event = BellEvent)]
struct Bell {
    repaired: bool,
}

impl Apply<BellEvent> for Bell {
    fn apply(&mut self, event: &BellEvent) {
        self.repaired |= matches!(event, BellEvent::Repaired { .. });
    }
}

/// Emits an event.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Bell)]
struct Emit {
    #[id]
    bell: u32,
    event: BellEvent,
}

impl Decide for Emit {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Bell) -> Result<Events<BellEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

fn unchanged(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Ok(old)
}

/// Defines a command that rings a bell, and panics if the bell is cracked and not repaired.
macro_rules! ring {
    ($ring:ident, $name:literal, $version:literal $(, $upcast:ident)?) => {
        #[derive(Command, Debug, Clone, Serialize, Deserialize)]
        #[command(on = Bell, name = $name, version = $version $(, upcast = $upcast)?)]
        struct $ring {
            #[id]
            bell: u32,
        }

        impl Decide for $ring {
            type Error = std::convert::Infallible;
            fn decide(&self, bell: &Bell) -> Result<Events<BellEvent>, Self::Error> {
                assert!(bell.repaired || self.bell != CRACKED, "it cracks");
                Ok(BellEvent::Rang { bell: self.bell }.into())
            }
        }
    };
}

const CRACKED: u32 = 13;

ring!(Ring, "ring", 1);
ring!(Ring2, "ring", 2, unchanged);
ring!(Toll, "toll", 1);
ring!(Toll2, "toll", 2, unchanged);

fn processes(engine: &Engine, clock: &VirtualClock) -> RuntimeBuilder {
    let retry = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    Runtime::builder(engine)
        .clock(clock.clone())
        .retry(retry)
        .lease(Duration::from_millis(60))
}

async fn within_timeout<T>(future: impl Future<Output = T>) -> T {
    let output = tokio::time::timeout(Duration::from_secs(10), future).await;
    output.expect("the operation timed out")
}

/// Returns the bells that rang, in order.
async fn rang(engine: &Engine) -> Vec<u32> {
    let read = Read::all(Query::event_types(["bell.rang"]));
    let page = engine.store().read(read).await.unwrap();
    let events = page.events.iter().map(|record| record.decode().unwrap());
    let bells = events.filter_map(|event| match event {
        BellEvent::Rang { bell } => Some(bell),
        BellEvent::Wound { .. } | BellEvent::Repaired { .. } => None,
    });
    bells.collect()
}

async fn emit(engine: &Engine, event: BellEvent) {
    let (BellEvent::Wound { bell } | BellEvent::Repaired { bell } | BellEvent::Rang { bell }) =
        event;
    engine.execute(Emit { bell, event }).await.unwrap();
}

fn daily<C: Decide + serde::de::DeserializeOwned>(
    command: impl Fn(u32) -> C + Send + Sync + 'static,
    bell: u32,
) -> Schedule {
    Schedule::cron(format!("bell {bell}"), "0 6 * * *", move |_| command(bell)).unwrap()
}

/// Returns the failed deliveries of schedules that wait for a retry.
async fn waiting(running: &Runtime) -> Vec<FailedDelivery> {
    let all = running.schedules().unwrap().failed_deliveries().await;
    let all = all.unwrap();
    all.into_iter().filter(FailedDelivery::is_waiting).collect()
}

/// Asserts that a failed delivery of `old` stays if the program only knows `new`.
async fn assert_delivery_of_unknown_command_fails<Old, New>(
    old: fn(u32) -> Old,
    new: fn(u32) -> New,
) where
    Old: Decide + serde::de::DeserializeOwned,
    New: Decide + serde::de::DeserializeOwned,
{
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let running = processes(&engine, &clock);
    let running = running.schedule(daily(old, CRACKED)).start();
    let running = running.await.unwrap();
    within_timeout(running.wait_until_idle()).await.unwrap();
    clock.advance(DAY);
    within_timeout(running.wait_until_idle()).await.unwrap();
    assert_eq!(waiting(&running).await.len(), 1);
    running.stop().await;

    let running = processes(&engine, &clock);
    let running = running.schedule(daily(new, CRACKED)).start();
    let running = running.await.unwrap();
    let schedules = running.schedules().unwrap();
    schedules.retry_deliveries().await.unwrap();
    within_timeout(running.wait_until_idle()).await.unwrap();
    let [failed] = &waiting(&running).await[..] else {
        panic!("expected one failed delivery")
    };
    assert_eq!(
        failed.error,
        format!("this code has no command {:?}", Old::NAME)
    );
    running.stop().await;
}

#[tokio::test]
async fn schedule_with_unknown_command_fails_delivery() {
    assert_delivery_of_unknown_command_fails(|bell| Ring2 { bell }, |bell| Toll { bell }).await;
    assert_delivery_of_unknown_command_fails(|bell| Ring { bell }, |bell| Toll2 { bell }).await;
}

#[tokio::test]
async fn unreadable_schedule_does_not_block_others() {
    let (store, clock) = (MemoryStore::new(), VirtualClock::new());
    let broken = DocumentChanges::new().put("process//schedules/instance/bell 1", "{}");
    store.change_documents(broken).await.unwrap();
    let engine = Engine::new(store);
    let running = processes(&engine, &clock);
    let running = running.schedule(daily(|bell| Ring { bell }, 1));
    let running = running.schedule(daily(|bell| Ring { bell }, 2)).start();
    let running = running.await.unwrap();
    within_timeout(running.wait_until_idle()).await.unwrap();
    clock.advance(DAY);
    within_timeout(running.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [2]);
    running.stop().await;
}

struct Mails;

impl EventHandler<BellEvent> for Mails {
    async fn handle(&self, _: &Recorded<BellEvent>) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// A store that rejects every change of documents as closed.
#[derive(Clone)]
struct Closed(MemoryStore);

#[factum::store::async_trait]
impl EventStore for Closed {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.0.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.0.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.watch()
    }
}

#[factum::store::async_trait]
impl DocumentStore for Closed {
    async fn change_documents(&self, _: DocumentChanges) -> Result<Revision, DocumentError> {
        Err(StoreError::Closed.into())
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.0.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.0.scan_documents(scan).await
    }
}

factum::store::delegate!(snapshots, [] Closed, |this| this.0);

#[tokio::test]
async fn start_fails_when_store_is_closed() {
    let engine = Engine::new(Closed(MemoryStore::new()));
    let running = Runtime::builder(&engine).handler("mails", Mails, StartFrom::End);
    let started = within_timeout(running.start()).await;
    assert!(
        matches!(started, Err(StartError::Store(StoreError::Closed))),
        "{started:?}"
    );
}

/// Defines a process manager that rings a bell one day after it was wound.
macro_rules! ringer {
    ($ringer:ident, $version:literal, $ring:ident $(, $upcast:ident)?) => {
        #[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
        #[process_manager(
            name = "ringer",
            version = $version,
            $(upcast = $upcast,)?
            id = u32,
            events = BellEvent,
            commands = $ring,
        )]
        struct $ringer {
            bell: u32,
        }

        impl Apply<BellEvent> for $ringer {
            fn apply(&mut self, event: &BellEvent) {
                if let BellEvent::Wound { bell } = event {
                    self.bell = *bell;
                }
            }
        }

        impl React<BellEvent> for $ringer {
            fn correlate(event: &Recorded<BellEvent>) -> Correlation<u32> {
                match event.event {
                    BellEvent::Wound { bell } => Correlation::Starts(bell),
                    BellEvent::Repaired { .. } | BellEvent::Rang { .. } => Correlation::Ignored,
                }
            }

            fn react(&self, _: &Recorded<BellEvent>, then: &mut Reactions<Self>) {
                then.deadline("ring", DAY);
            }
        }

        impl Respond for $ringer {
            fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

            fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
                then.send($ring { bell: self.bell });
            }
        }
    };
}

ringer!(Ringer, 1, Ring);
ringer!(RingerWithNewerCommand, 1, Ring2);
ringer!(RingerWithNewerState, 2, Ring, unchanged);

#[tokio::test]
async fn newer_command_waits_for_newer_code() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let newer = processes(&engine, &clock)
        .process::<RingerWithNewerCommand>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    emit(&engine, BellEvent::Wound { bell: CRACKED }).await;
    within_timeout(newer.wait_until_idle()).await.unwrap();
    clock.advance(DAY);
    within_timeout(newer.wait_until_idle()).await.unwrap();
    newer.stop().await;

    let older = processes(&engine, &clock)
        .process::<Ringer>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    emit(&engine, BellEvent::Repaired { bell: CRACKED }).await;
    let ringer = older.process::<Ringer>().unwrap();
    ringer.retry_all().await.unwrap();
    ringer.deliveries().retry_deliveries().await.unwrap();
    within_timeout(older.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [0; 0]);

    let newer = processes(&engine, &clock)
        .process::<RingerWithNewerCommand>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    within_timeout(newer.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [CRACKED]);
    older.stop().await;
    newer.stop().await;
}

#[tokio::test]
async fn newer_deadline_waits_for_newer_code() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let newer = processes(&engine, &clock)
        .process::<RingerWithNewerState>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    emit(&engine, BellEvent::Wound { bell: 2 }).await;
    within_timeout(newer.wait_until_idle()).await.unwrap();
    newer.stop().await;

    let older = processes(&engine, &clock)
        .process::<Ringer>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    within_timeout(older.wait_until_idle()).await.unwrap();
    clock.advance(DAY);
    within_timeout(older.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [0; 0]);

    let newer = processes(&engine, &clock)
        .process::<RingerWithNewerState>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    within_timeout(newer.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [2]);
    older.stop().await;
    newer.stop().await;
}
