//! Process managers and schedules whose code panics or is older than the stored state.
//!
//! Other work continues, and nothing is lost.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::event::UpcastError;
use factum::prelude::*;
use factum::runtime::{ConsumerStatus, DeliveryHandle, FailedDelivery, RuntimeBuilder, Schedule};
use factum::store::{Query, Read};
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    Wound { bell: u32 },
    Rang { bell: u32 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "bell", id = u32, event = BellEvent)]
struct Bell;

impl Apply<BellEvent> for Bell {
    fn apply(&mut self, _: &BellEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Bell)]
struct Wind {
    #[id]
    bell: u32,
}

impl Decide for Wind {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Bell) -> Result<Events<BellEvent>, Self::Error> {
        Ok(BellEvent::Wound { bell: self.bell }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Bell)]
struct Ring {
    #[id]
    #[serde(deserialize_with = "cracks")]
    bell: u32,
    tune: String,
}

/// Set while all code that handles bell 13 panics.
static CRACKED: AtomicBool = AtomicBool::new(true);
const CRACKS: u32 = 13;

/// Panics for bell 13 while it is cracked.
fn crack(bell: u32) {
    assert!(!(bell == CRACKS && CRACKED.load(SeqCst)), "it cracks");
}

fn cracks<'de, D: serde::Deserializer<'de>>(bell: D) -> Result<u32, D::Error> {
    let bell = u32::deserialize(bell)?;
    crack(bell);
    Ok(bell)
}

/// The bell whose tune exceeds the size limit of a document.
const HEAVY: u32 = 99;

fn ring(bell: u32) -> Ring {
    let tune = match bell {
        HEAVY => "x".repeat(17 * 1024 * 1024),
        _ => String::new(),
    };
    Ring { bell, tune }
}

impl Decide for Ring {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Bell) -> Result<Events<BellEvent>, Self::Error> {
        Ok(BellEvent::Rang { bell: self.bell }.into())
    }
}

/// Defines a version of the process manager that rings a bell one day after it was wound.
macro_rules! ringer {
    ($ringer:ident, $version:literal $(, $upcast:ident)?) => {
        #[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
        #[process_manager(
            name = "ringer",
            version = $version,
            $(upcast = $upcast,)?
            id = u32,
            events = BellEvent,
            commands = Ring,
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
                    BellEvent::Rang { .. } => Correlation::Ignored,
                }
            }

            fn react(&self, _: &Recorded<BellEvent>, then: &mut Reactions<Self>) {
                then.deadline("ring", DAY);
            }
        }

        impl Respond for $ringer {
            fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

            fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
                then.send(ring(self.bell));
            }
        }
    };
}

ringer!(Ringer, 1);
ringer!(Ringer2, 2, panics);

fn panics(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    crack(old["bell"].as_u64().ok_or("no bell")? as u32);
    Ok(old)
}

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

async fn idle(running: &Runtime) {
    let idle = tokio::time::timeout(Duration::from_secs(20), running.wait_until_idle());
    idle.await
        .expect("the process managers did not become idle")
        .unwrap();
}

async fn wind(engine: &Engine, bells: &[u32]) {
    for bell in bells {
        engine.execute(Wind { bell: *bell }).await.unwrap();
    }
}

/// Returns the bells that rang, in order.
async fn rang(engine: &Engine) -> Vec<u32> {
    let read = Read::all(Query::event_types(["bell.rang"]));
    let page = engine.store().read(read).await.unwrap();
    let events = page.events.iter().map(|record| record.decode().unwrap());
    let bells = events.filter_map(|event| match event {
        BellEvent::Rang { bell } => Some(bell),
        BellEvent::Wound { .. } => None,
    });
    bells.collect()
}

/// Returns the handle of the commands and deadlines of the process manager `ringer`.
fn deliveries(running: &Runtime) -> DeliveryHandle {
    let ringer = running.process_named("ringer").unwrap();
    ringer.deliveries().clone()
}

/// Retries the dead letters and the failed deliveries of the process manager `ringer`.
async fn retry(running: &Runtime) {
    let ringer = running.process_named("ringer").unwrap();
    ringer.retry_all().await.unwrap();
    ringer.deliveries().retry_deliveries().await.unwrap();
}

/// Returns the instance and the error of each failed delivery that waits for a retry.
async fn waiting(deliveries: &DeliveryHandle) -> Vec<String> {
    let all = deliveries.failed_deliveries().await.unwrap().into_iter();
    let waiting = all.filter(FailedDelivery::is_waiting);
    waiting
        .map(|failed| format!("{} {}", failed.instance, failed.error))
        .collect()
}

/// The cases run one after the other because they share [`CRACKED`].
#[tokio::test]
async fn panicking_code_blocks_only_its_own_work() {
    command_panics_while_decoded().await;
    upcaster_panics().await;
    schedule_panics().await;
}

async fn command_panics_while_decoded() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let running = processes(&engine, &clock)
        .process::<Ringer>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    wind(&engine, &[CRACKS, 2]).await;
    idle(&running).await;
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(rang(&engine).await, [2]);
    let [failed] = &waiting(&deliveries(&running)).await[..] else {
        panic!("expected one failed delivery")
    };
    assert!(failed.starts_with("13 ") && failed.contains("it cracks"));
    CRACKED.store(false, SeqCst);
    retry(&running).await;
    idle(&running).await;
    CRACKED.store(true, SeqCst);
    assert_eq!(rang(&engine).await, [2, CRACKS]);
    running.stop().await;
}

async fn upcaster_panics() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let old = processes(&engine, &clock)
        .process::<Ringer>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    wind(&engine, &[CRACKS, 2]).await;
    idle(&old).await;
    old.stop().await;
    let new = processes(&engine, &clock)
        .process::<Ringer2>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    clock.advance(DAY);
    idle(&new).await;
    assert_eq!(rang(&engine).await, [2]);
    let [failed] = &waiting(&deliveries(&new)).await[..] else {
        panic!("expected one failed delivery")
    };
    assert!(failed.starts_with("13 ") && failed.contains("it cracks"));
    CRACKED.store(false, SeqCst);
    retry(&new).await;
    idle(&new).await;
    CRACKED.store(true, SeqCst);
    assert_eq!(rang(&engine).await, [2, CRACKS]);
    new.stop().await;
}

async fn schedule_panics() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let daily = |bell| {
        let command = move |_| {
            crack(bell);
            ring(bell)
        };
        Schedule::cron(format!("bell {bell}"), "0 6 * * *", command).unwrap()
    };
    let running = processes(&engine, &clock)
        .schedule(daily(CRACKS))
        .schedule(daily(2))
        .start()
        .await
        .unwrap();
    let schedules = running.schedules().unwrap();
    idle(&running).await;
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(rang(&engine).await, [2]);
    let [failed] = &waiting(schedules).await[..] else {
        panic!("expected one failed delivery")
    };
    assert!(failed.starts_with("bell 13 ") && failed.contains("it cracks"));
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(rang(&engine).await, [2, 2]);
    CRACKED.store(false, SeqCst);
    schedules.retry_deliveries().await.unwrap();
    idle(&running).await;
    CRACKED.store(true, SeqCst);
    assert_eq!(rang(&engine).await, [2, 2, CRACKS]);
    running.stop().await;
}

#[tokio::test]
async fn oversized_reaction_is_given_up() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let running = processes(&engine, &clock)
        .process::<Ringer>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    wind(&engine, &[HEAVY, 2]).await;
    idle(&running).await;
    clock.advance(DAY);
    idle(&running).await;
    retry(&running).await;
    idle(&running).await;
    let [failed] = &waiting(&deliveries(&running)).await[..] else {
        panic!("expected one failed delivery")
    };
    assert!(failed.starts_with("99 "), "{failed}");
    assert_eq!(rang(&engine).await, [2]);
    running.stop().await;
}

ringer!(Older, 1);
ringer!(Newer, 2, unchanged);

fn unchanged(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Ok(old)
}

#[tokio::test]
async fn newer_state_is_left_to_newer_code() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), VirtualClock::new());
    let newer = processes(&engine, &clock)
        .process::<Newer>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    wind(&engine, &[1, 2]).await;
    idle(&newer).await;
    newer.stop().await;

    let older = processes(&engine, &clock)
        .process::<Older>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    wind(&engine, &[3]).await;
    idle(&older).await;
    // The deadlines of bells 1 and 2 are due first.
    clock.advance(DAY);
    while rang(&engine).await != [3] {
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting(&deliveries(&older)).await, [""; 0]);
    wind(&engine, &[1]).await;
    let outdated = |status: &ConsumerStatus| {
        let error = status.last_error.as_ref();
        error.is_some_and(|error| error.contains("update the program"))
    };
    while !older.status().iter().all(outdated) {
        tokio::task::yield_now().await;
    }
    let ringer = older.process::<Older>().unwrap();
    assert_eq!(ringer.dead_letters().await.unwrap(), []);

    let newer = processes(&engine, &clock)
        .process::<Newer>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    clock.advance(DAY);
    idle(&newer).await;
    let ringer = newer.process::<Newer>().unwrap();
    assert_eq!(ringer.dead_letters().await.unwrap(), []);
    assert_eq!(waiting(&deliveries(&newer)).await, [""; 0]);
    older.stop().await;
    newer.stop().await;
    let mut rang = rang(&engine).await;
    rang.sort_unstable();
    assert_eq!(rang, [1, 2, 3]);
}
