//! Metrics of process managers and schedules.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/metric_snapshot.rs"]
mod metric_snapshot;

use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::process::{Correlation, Deadline, Reactions, Rejection};
use factum::runtime::Schedule;
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;
use metric_snapshot::MetricSnapshot;
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Lit { lamp: u32 },
    PutOut,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Light {
    #[id]
    lamp: u32,
}

impl Decide for Light {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(LampEvent::Lit { lamp: self.lamp }.into())
    }
}

/// Puts out a lamp. Rejected for lamps with odd numbers; panics for number 13.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct PutOut {
    #[id]
    lamp: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("the lamp stays lit")]
struct StaysLit;

impl Decide for PutOut {
    type Error = StaysLit;
    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, StaysLit> {
        assert_ne!(self.lamp, 13, "the switch is jammed");
        match self.lamp % 2 {
            0 => Ok(LampEvent::PutOut.into()),
            _ => Err(StaysLit),
        }
    }
}

/// A process manager that puts out a lamp immediately, and again a day later.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = u32, events = LampEvent, commands = PutOut)]
struct Watch {
    lamp: u32,
}

impl Apply<LampEvent> for Watch {
    fn apply(&mut self, event: &LampEvent) {
        if let LampEvent::Lit { lamp } = event {
            self.lamp = *lamp;
        }
    }
}

impl React<LampEvent> for Watch {
    fn correlate(event: &Recorded<LampEvent>) -> Correlation<u32> {
        match event.event {
            LampEvent::Lit { lamp } => Correlation::Starts(lamp),
            LampEvent::PutOut => Correlation::Ignored,
        }
    }

    fn react(&self, _: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
        let lamp = self.lamp;
        then.send(PutOut { lamp }).deadline("tomorrow", DAY);
    }
}

impl Respond for Watch {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        then.send(PutOut { lamp: self.lamp });
    }
}

/// Runs `work` on this thread with a recorder.
fn with_recorder<W: Future>(work: impl FnOnce(Snapshotter) -> W) -> W::Output {
    let recorder = DebuggingRecorder::new();
    let work = work(recorder.snapshotter());
    let _installed = metrics::set_default_local_recorder(&recorder);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

/// Waits until a gauge of the process `watch` has `value`.
async fn wait_for_gauge(recorder: &Snapshotter, gauge: &str, value: f64) {
    let key = format!("factum_process_{gauge}{{process=watch}}");
    while MetricSnapshot::new(recorder)
        .0
        .get(&key)
        .map(|values| &values[..])
        != Some(&[value])
    {
        tokio::task::yield_now().await;
    }
}

fn retry(attempts: u32, pause: Duration) -> RetryPolicy {
    RetryPolicy {
        attempts,
        base: pause,
        cap: pause,
    }
}

async fn light(engine: &Engine, lamp: u32) {
    engine.execute(Light { lamp }).await.unwrap();
}

#[test]
fn process_metrics_count_outcomes_and_failed_deliveries() {
    with_recorder(async |recorder| {
        let engine = Engine::new(MemoryStore::new());
        let running = Runtime::builder(&engine)
            .process::<Watch>(StartFrom::Beginning)
            .retry(retry(3, Duration::ZERO))
            .start()
            .await
            .unwrap();
        for lamp in [2, 4, 5, 13] {
            light(&engine, lamp).await;
        }
        running.wait_until_idle().await.unwrap();
        running.stop().await;
        let snapshot = MetricSnapshot::new(&recorder);
        let expected = [("done}", 2.0), ("failed}", 1.0), ("rejected}", 1.0)];
        let work = snapshot.of("factum_process_work_total{process=watch,outcome=");
        assert_eq!(work, expected);
        assert_eq!(
            snapshot.0["factum_process_failed_deliveries{process=watch}"],
            [1.0]
        );
        assert_eq!(snapshot.0["factum_process_work_due{process=watch}"], [0.0]);
    });
}

#[test]
fn failed_delivery_gauge_follows_start_and_discard() {
    let store = MemoryStore::new();
    with_recorder(async |_| {
        let engine = Engine::new(store.clone());
        let running = Runtime::builder(&engine)
            .process::<Watch>(StartFrom::Beginning)
            .retry(retry(1, Duration::ZERO))
            .start()
            .await
            .unwrap();
        light(&engine, 13).await;
        running.wait_until_idle().await.unwrap();
        running.stop().await;
    });
    with_recorder(async |recorder| {
        let engine = Engine::new(store.clone());
        let running = Runtime::builder(&engine)
            .process::<Watch>(StartFrom::Beginning)
            .start()
            .await
            .unwrap();
        wait_for_gauge(&recorder, "failed_deliveries", 1.0).await;
        let watch = running.process::<Watch>().unwrap();
        let deliveries = watch.deliveries();
        let failed = deliveries.failed_deliveries().await.unwrap();
        let discarded = deliveries.discard_delivery(&failed[0], "the switch is broken");
        discarded.await.unwrap();
        metrics::gauge!("factum_process_failed_deliveries", "process" => "watch").set(7);
        light(&engine, 2).await;
        running.wait_until_idle().await.unwrap();
        running.stop().await;
        let snapshot = MetricSnapshot::new(&recorder);
        assert_eq!(
            snapshot.0["factum_process_failed_deliveries{process=watch}"],
            [0.0]
        );
    });
}

#[test]
fn due_work_gauge_shows_retries() {
    with_recorder(async |recorder| {
        let engine = Engine::new(MemoryStore::new());
        let running = Runtime::builder(&engine)
            .process::<Watch>(StartFrom::Beginning)
            .retry(retry(3, Duration::from_secs(3_600)))
            .start()
            .await
            .unwrap();
        light(&engine, 13).await;
        wait_for_gauge(&recorder, "work_due", 1.0).await;
        light(&engine, 2).await;
        let mut done = engine.store().watch();
        done.wait_for(|head| head.get() == 3).await.unwrap();
        running.stop().await;
        let snapshot = MetricSnapshot::new(&recorder);
        assert_eq!(snapshot.0["factum_process_work_due{process=watch}"], [1.0]);
        let work = snapshot.of("factum_process_work_total{process=watch,");
        assert_eq!(work, [("outcome=done}", 1.0)]);
    });
}

#[test]
fn deadline_metrics_count_and_measure_delay() {
    with_recorder(async |recorder| {
        let engine = Engine::new(MemoryStore::new());
        let clock = VirtualClock::new();
        let daily = Schedule::cron("daily", "0 12 * * *", |_| PutOut { lamp: 6 }).unwrap();
        let running = Runtime::builder(&engine)
            .process::<Watch>(StartFrom::Beginning)
            .schedule(daily)
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        light(&engine, 2).await;
        running.wait_until_idle().await.unwrap();
        let before = MetricSnapshot::new(&recorder);
        let fired = "factum_deadlines_fired_total{process=";
        assert!(before.of(fired).iter().all(|(name, _)| *name != "watch}"));
        clock.advance(DAY * 2);
        running.wait_until_idle().await.unwrap();
        running.stop().await;
        let snapshot = MetricSnapshot::new(&recorder);
        assert_eq!(snapshot.of(fired), [("schedules}", 1.0), ("watch}", 1.0)]);
        let [late] = snapshot.0["factum_deadline_delay_seconds{process=watch}"][..] else {
            panic!("expected one delay")
        };
        assert!((86_000.0..87_000.0).contains(&late), "{late}");
        let scheduled = snapshot.of("factum_process_work_total{process=schedules,");
        assert_eq!(scheduled, [("outcome=done}", 1.0)]);
    });
}
