//! Process managers: metadata of commands, start positions, schedules, and states without fields.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{EventHandler, HandlerError, RuntimeBuilder, Schedule};
use factum::store::{Query, Read};
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Lit { lamp: u32 },
    Touched { lamp: u32 },
    PutOut { lamp: u32, at: u32 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

/// Emits an event.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Emit {
    #[id]
    lamp: u32,
    event: LampEvent,
}

impl Decide for Emit {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Lamp)]
struct PutOut {
    #[id]
    lamp: u32,
    at: u32,
}

impl Decide for PutOut {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        let Self { lamp, at } = *self;
        Ok(LampEvent::PutOut { lamp, at }.into())
    }
}

/// Puts out a lamp when it is touched, and one day after it was lit or last touched.
#[derive(ProcessManager, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[process_manager(
    id = u32,
    events = LampEvent,
    commands = PutOut,
)]
struct Watch {
    lamp: u32,
    touches: u32,
}

impl Apply<LampEvent> for Watch {
    fn apply(&mut self, event: &LampEvent) {
        match event {
            LampEvent::Lit { lamp } => self.lamp = *lamp,
            LampEvent::Touched { .. } => self.touches += 1,
            LampEvent::PutOut { .. } => {}
        }
    }
}

impl React<LampEvent> for Watch {
    fn correlate(event: &Recorded<LampEvent>) -> Correlation<u32> {
        match event.event {
            LampEvent::Lit { lamp } => Correlation::Starts(lamp),
            LampEvent::Touched { lamp } => Correlation::Continues(lamp),
            LampEvent::PutOut { .. } => Correlation::Ignored,
        }
    }

    fn react(&self, event: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
        then.deadline("evening", DAY);
        if let LampEvent::Touched { lamp } = event.event {
            let at = self.touches;
            then.send(PutOut { lamp, at });
        }
        if self.touches == 3 {
            then.cancel("evening");
        }
    }
}

impl Respond for Watch {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        let (lamp, at) = (self.lamp, 100);
        then.send(PutOut { lamp, at }).complete();
    }
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

async fn emit(engine: &Engine, lamp: u32, event: LampEvent) {
    engine.execute(Emit { lamp, event }).await.unwrap();
}

/// Returns the `at` value of each time the lamp was put out.
async fn put_out(engine: &Engine, lamp: u32) -> Vec<u32> {
    let read = Read::all(Query::event_types(["lamp.put_out"]));
    let page = engine.store().read(read).await.unwrap();
    let events = page.events.iter().map(|record| record.decode().unwrap());
    let times = events.filter_map(|event| match event {
        LampEvent::PutOut { lamp: of, at } if of == lamp => Some(at),
        _ => None,
    });
    times.collect()
}

#[tokio::test]
async fn commands_record_sender_and_correlation() {
    let engine = Engine::new(MemoryStore::new());
    let running = processes(&engine, &VirtualClock::new())
        .process::<Watch>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    emit(&engine, 2, LampEvent::Lit { lamp: 2 }).await;
    let event = LampEvent::Touched { lamp: 2 };
    let touched = engine
        .execute(Emit { lamp: 2, event })
        .by("alice")
        .await
        .unwrap();
    running.wait_until_idle().await.unwrap();
    let read = Read::all(Query::event_types(["lamp.put_out"]));
    let page = engine.store().read(read).await.unwrap();
    let (cause, metadata) = (&touched.events()[0], &page.events[0].metadata);
    assert_eq!(metadata.actor.as_deref(), Some("watch"));
    assert_eq!(metadata.causation_id, Some(cause.id));
    assert!(metadata.correlation_id.is_some());
    assert_eq!(metadata.correlation_id, cause.metadata.correlation_id);
    running.stop().await;
}

/// Counts the events that it handles.
#[derive(Clone, Default)]
struct Bell(Arc<AtomicU64>);

impl EventHandler<LampEvent> for Bell {
    async fn handle(&self, _: &Recorded<LampEvent>) -> Result<(), HandlerError> {
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn new_handler_starts_at_end_existing_at_checkpoint() {
    let engine = Engine::new(MemoryStore::new());
    let clock = VirtualClock::new();
    let (late, early) = (Bell::default(), Bell::default());
    let start = async || {
        processes(&engine, &clock)
            .handler("late", late.clone(), StartFrom::End)
            .handler("early", early.clone(), StartFrom::Beginning)
            .process::<Watch>(StartFrom::End)
            .start()
            .await
            .unwrap()
    };
    emit(&engine, 2, LampEvent::Lit { lamp: 2 }).await;
    let running = start().await;
    running.wait_until_idle().await.unwrap();
    assert_eq!((late.0.load(SeqCst), early.0.load(SeqCst)), (0, 1));
    emit(&engine, 2, LampEvent::Touched { lamp: 2 }).await;
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    emit(&engine, 4, LampEvent::Lit { lamp: 4 }).await;
    let running = start().await;
    running.wait_until_idle().await.unwrap();
    assert_eq!((late.0.load(SeqCst), early.0.load(SeqCst)), (2, 3));
    assert_eq!(
        put_out(&engine, 2).await,
        [0; 0],
        "the process manager started after the lamp was lit"
    );
    running.stop().await;
}

#[test]
fn schedule_uses_utc_unless_zone_is_named() {
    let schedule = |cron: &str| {
        let command = |_| PutOut { lamp: 2, at: 1 };
        Schedule::cron("evening", cron, command)
    };
    let times = |cron: &str, from: &str| {
        let schedule = schedule(cron).unwrap();
        let first = schedule.next(from.parse().unwrap()).unwrap();
        let second = schedule.next(first).unwrap();
        [first, second].map(|time| time.to_string())
    };
    assert_eq!(
        times("30 2 * * *", "2026-03-28T02:30:00Z"),
        ["2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"]
    );
    // Daylight saving time skips 02:30 in March and repeats it in October.
    assert_eq!(
        times("30 2 * * * Europe/Berlin", "2026-03-28T01:30:00Z"),
        ["2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
    );
    assert_eq!(
        times("30 2 * * * Europe/Berlin", "2026-10-24T12:00:00Z"),
        ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
    );
    let invalid = schedule("61 * * * *").unwrap_err();
    assert_eq!((&*invalid.name, &*invalid.cron), ("evening", "61 * * * *"));
    assert!(schedule("* * * * * Europe/Atlantis").is_err());
}

/// A process manager whose state has no fields and is stored as `null`.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = u32, events = LampEvent, commands = PutOut)]
struct Timer;

impl Apply<LampEvent> for Timer {
    fn apply(&mut self, _: &LampEvent) {}
}

impl React<LampEvent> for Timer {
    fn correlate(event: &Recorded<LampEvent>) -> Correlation<u32> {
        Watch::correlate(event)
    }

    fn react(&self, event: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
        match event.event {
            LampEvent::Touched { lamp } => then.send(PutOut { lamp, at: 1 }),
            _ => then.deadline("2", DAY),
        };
    }
}

impl Respond for Timer {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, deadline: &Deadline, then: &mut Reactions<Self>) {
        let lamp = deadline.name.parse().unwrap();
        then.send(PutOut { lamp, at: 100 }).complete();
    }
}

#[tokio::test]
async fn instance_without_state_fields_is_kept() {
    let engine = Engine::new(MemoryStore::new());
    let clock = VirtualClock::new();
    let running = processes(&engine, &clock)
        .process::<Timer>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    emit(&engine, 2, LampEvent::Lit { lamp: 2 }).await;
    running.wait_until_idle().await.unwrap();
    for _ in 0..2 {
        emit(&engine, 2, LampEvent::Touched { lamp: 2 }).await;
        running.wait_until_idle().await.unwrap();
    }
    assert_eq!(put_out(&engine, 2).await, [1, 1]);
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    assert_eq!(put_out(&engine, 2).await, [1, 1, 100]);
    emit(&engine, 2, LampEvent::Touched { lamp: 2 }).await;
    running.wait_until_idle().await.unwrap();
    assert_eq!(
        put_out(&engine, 2).await,
        [1, 1, 100],
        "the instance is complete"
    );
    running.stop().await;
}
