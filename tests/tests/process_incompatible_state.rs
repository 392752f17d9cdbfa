//! What this program cannot do or read blocks nothing else, and nobody waits for it without end.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use factum::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum::prelude::*;
use factum::process_managers::{EventHandler, HandlerError, ProcessManagersBuilder, SCHEDULES};
use factum::testkit::VirtualClock;
use factum::{
    Append, AppendError, Appended, EventStore, FailedDelivery, IdempotencyKey, Page, Position,
    Query, Read, RetryPolicy, Schedule, StoreError, UpcastError,
};
use factum_memory::MemoryStore;
use tokio::sync::watch;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    Wound { bell: u32 },
    Mended { bell: u32 },
    Rang { bell: u32 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "bell", id = u32, event = BellEvent)]
struct Bell {
    mended: bool,
}

impl Apply<BellEvent> for Bell {
    fn apply(&mut self, event: &BellEvent) {
        self.mended |= matches!(event, BellEvent::Mended { .. });
    }
}

/// Says what has happened to a bell.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Bell)]
struct Tell {
    #[id]
    bell: u32,
    event: BellEvent,
}

impl Decide for Tell {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Bell) -> Result<Events<BellEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

fn same(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Ok(old)
}

/// Rings a bell, as far as it is not cracked.
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
                assert!(bell.mended || self.bell != CRACKED, "it cracks");
                Ok(BellEvent::Rang { bell: self.bell }.into())
            }
        }
    };
}

const CRACKED: u32 = 13;

ring!(Ring, "ring", 1);
ring!(Ring2, "ring", 2, same);
ring!(Toll, "toll", 1);
ring!(Toll2, "toll", 2, same);

fn processes(engine: &Engine, clock: &VirtualClock) -> ProcessManagersBuilder {
    let retry = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    ProcessManagers::builder(engine)
        .clock(clock.clone())
        .retry(retry)
        .lease(Duration::from_millis(60))
}

async fn ends<T>(future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(10), future).await;
    ended.expect("it comes to an end")
}

async fn rang(engine: &Engine) -> Vec<u32> {
    let read = Read::all(Query::names(["bell.rang"]));
    let page = engine.store().read(read).await.unwrap();
    let events = page.events.iter().map(|record| record.decode().unwrap());
    let bells = events.filter_map(|event| match event {
        BellEvent::Rang { bell } => Some(bell),
        BellEvent::Wound { .. } | BellEvent::Mended { .. } => None,
    });
    bells.collect()
}

async fn tell(engine: &Engine, event: BellEvent) {
    let (BellEvent::Wound { bell } | BellEvent::Mended { bell } | BellEvent::Rang { bell }) = event;
    engine.execute(Tell { bell, event }).await.unwrap();
}

fn daily<C: Decide + serde::de::DeserializeOwned>(
    command: impl Fn(u32) -> C + Send + Sync + 'static,
    bell: u32,
) -> Schedule {
    Schedule::cron(format!("bell {bell}"), "0 6 * * *", move |_| command(bell)).unwrap()
}

async fn waiting(running: &ProcessManagers) -> Vec<FailedDelivery> {
    let all = running.failed_deliveries(SCHEDULES).await.unwrap();
    all.into_iter().filter(FailedDelivery::is_waiting).collect()
}

async fn what_another_type_left<Old, New>(old: fn(u32) -> Old, new: fn(u32) -> New)
where
    Old: Decide + serde::de::DeserializeOwned,
    New: Decide + serde::de::DeserializeOwned,
{
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let running = processes(&engine, &clock);
    let running = running.schedule(daily(old, CRACKED)).start();
    ends(running.wait_until_idle()).await.unwrap();
    clock.advance(DAY);
    ends(running.wait_until_idle()).await.unwrap();
    assert_eq!(waiting(&running).await.len(), 1);
    running.stop().await;

    let running = processes(&engine, &clock);
    let running = running.schedule(daily(new, CRACKED)).start();
    running.retry(SCHEDULES).await.unwrap();
    ends(running.wait_until_idle()).await.unwrap();
    let [waits] = &waiting(&running).await[..] else {
        panic!("nothing waits")
    };
    assert_eq!(waits.error, format!("nothing sends {} any more", Old::NAME));
    running.stop().await;
}

#[tokio::test]
async fn what_a_schedule_has_set_of_another_command_is_undelivered() {
    what_another_type_left(|bell| Ring2 { bell }, |bell| Toll { bell }).await;
    what_another_type_left(|bell| Ring { bell }, |bell| Toll2 { bell }).await;
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_holds_up_no_other() {
    let (store, clock) = (MemoryStore::new(), VirtualClock::new());
    let broken = Changes::new().put("process//schedules/instance/bell 1", "{}");
    store.change_documents(broken).await.unwrap();
    let engine = Engine::new(store);
    let running = processes(&engine, &clock);
    let running = running.schedule(daily(|bell| Ring { bell }, 1));
    let running = running.schedule(daily(|bell| Ring { bell }, 2)).start();
    ends(running.wait_until_idle()).await.unwrap();
    clock.advance(DAY);
    ends(running.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [2]);
    running.stop().await;
}

struct Mails;

#[factum::async_trait]
impl EventHandler<BellEvent> for Mails {
    async fn handle(&self, _: &Recorded<BellEvent>) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// A store that was closed for changes.
#[derive(Clone)]
struct Closed(MemoryStore);

#[factum::async_trait]
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

#[factum::async_trait]
impl DocumentStore for Closed {
    async fn change_documents(&self, _: Changes) -> Result<Revision, ChangeError> {
        Err(StoreError::Closed.into())
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.0.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.0.scan_documents(scan).await
    }
}

factum::delegate!(snapshots, [] Closed, |this| this.0);

#[tokio::test]
async fn nobody_waits_for_a_beginning_that_a_closed_store_does_not_keep() {
    let engine = Engine::new(Closed(MemoryStore::new()));
    let running = ProcessManagers::builder(&engine).handler("mails", Mails);
    ends(running.start().wait_until_registered()).await;
}

/// A bell rings a day after it was wound.
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
                    BellEvent::Mended { .. } | BellEvent::Rang { .. } => Correlation::Ignored,
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
ringer!(SendsNewer, 1, Ring2);
ringer!(KeepsNewer, 2, Ring, same);

#[tokio::test]
async fn a_command_of_newer_code_waits_for_it_and_comes_to_it() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let newer = processes(&engine, &clock).with::<SendsNewer>().start();
    tell(&engine, BellEvent::Wound { bell: CRACKED }).await;
    ends(newer.wait_until_idle()).await.unwrap();
    clock.advance(DAY);
    ends(newer.wait_until_idle()).await.unwrap();
    newer.stop().await;

    let older = processes(&engine, &clock).with::<Ringer>().start();
    tell(&engine, BellEvent::Mended { bell: CRACKED }).await;
    older.retry("ringer").await.unwrap();
    ends(older.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [0; 0]);

    let newer = processes(&engine, &clock).with::<SendsNewer>().start();
    ends(newer.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [CRACKED]);
    older.stop().await;
    newer.stop().await;
}

#[tokio::test]
async fn a_deadline_of_newer_code_waits_for_it_and_comes_to_it() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let newer = processes(&engine, &clock).with::<KeepsNewer>().start();
    tell(&engine, BellEvent::Wound { bell: 2 }).await;
    ends(newer.wait_until_idle()).await.unwrap();
    newer.stop().await;

    let older = processes(&engine, &clock).with::<Ringer>().start();
    ends(older.wait_until_idle()).await.unwrap();
    clock.advance(DAY);
    ends(older.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [0; 0]);

    let newer = processes(&engine, &clock).with::<KeepsNewer>().start();
    ends(newer.wait_until_idle()).await.unwrap();
    assert_eq!(rang(&engine).await, [2]);
    older.stop().await;
    newer.stop().await;
}
