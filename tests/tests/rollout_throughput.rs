//! A promotion under 1,000 commands per second: no read fails, no event is lost, and the rate holds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/rolling.rs"]
mod rolling;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use factum::Position;
use factum::prelude::*;
use factum_tests::backend::Backend;
use factum_tests::load::{Add, Fill};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::interval;

use rolling::{assert_counts_never_decrease, assert_equals_replay, run, within};

/// The asserted rate in commands per second.
const RATE: f64 = 1_000.0;
/// The number of commands started at each tick, 10 % above [`RATE`], even if earlier ones are pending.
const PER_TICK: u64 = 11;
const TICK: Duration = Duration::from_millis(10);
const JARS: u64 = 500;
/// The number of events stored before the measurement.
const PRIOR_EVENTS: u64 = 5_000;

fn jar(number: u64) -> String {
    format!("j{}", number % JARS)
}

/// Starts commands at a steady rate until it is stopped.
struct Writers {
    done: watch::Receiver<u64>,
    end: Arc<AtomicBool>,
    task: JoinHandle<Position>,
}

impl Writers {
    fn start(engine: Engine, tick: Duration) -> Self {
        let (count, done) = watch::channel(0);
        let end = Arc::<AtomicBool>::default();
        let until = end.clone();
        let task = tokio::spawn(async move {
            let mut commands = JoinSet::new();
            let mut ticks = interval(tick);
            let mut number = 0;
            while !until.load(SeqCst) {
                ticks.tick().await;
                for _ in 0..PER_TICK {
                    let (engine, count) = (engine.clone(), count.clone());
                    let (jar, name) = (jar(number), format!("c{number}"));
                    commands.spawn(async move {
                        let receipt = engine.execute(Add { jar, name }).await.unwrap();
                        count.send_modify(|count| *count += 1);
                        receipt.position()
                    });
                    number += 1;
                }
            }
            let positions = commands.join_all().await;
            assert_eq!(*count.borrow(), number, "a command did not complete");
            positions.into_iter().max().unwrap()
        });
        Self { done, end, task }
    }

    fn done(&self) -> u64 {
        *self.done.borrow()
    }

    /// Waits until this number of further commands is done.
    async fn more(&self, commands: u64) {
        let (mut done, enough) = (self.done.clone(), self.done() + commands);
        let done = done.wait_for(|done| *done >= enough);
        within("the writes", done).await.unwrap();
    }

    async fn end(self) -> Position {
        self.end.store(true, SeqCst);
        self.task.await.unwrap()
    }
}

/// Returns the share of [`RATE`] that a machine with this projection speed can sustain.
///
/// Two builds process each event beside the commands, and the new build must be fast enough to catch up.
fn share(events_per_second: f64) -> f64 {
    let share = (events_per_second / (5.0 * RATE)).min(1.0);
    if share < 1.0 {
        let percent = share * 100.0;
        eprintln!(
            "TOO SLOW for {RATE} commands per second; the test asserts {percent:.0} % of it on this machine"
        );
    }
    share
}

/// Runs the tests one at a time, because they measure speed.
static SERIAL: Mutex<()> = Mutex::const_new(());

async fn promotion_sustains_1000_commands_per_second(place: &str) {
    let _serial = SERIAL.lock().await;
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    for turn in 0..PRIOR_EVENTS / JARS / 2 {
        let fill = Fill::into_jars(format!("b{turn}"), (0..JARS).map(jar).collect());
        fill.execute(&engine).await.unwrap();
    }
    let began = Instant::now();
    let old = run::<1, 1>(&backend, &engine).await;
    let before = Position::new(PRIOR_EVENTS);
    within("the start", old.wait_for(before)).await.unwrap();
    let share = share(PRIOR_EVENTS as f64 / began.elapsed().as_secs_f64());

    let end: Arc<AtomicBool> = Arc::default();
    let reading = Backend::open(place).await.unwrap();
    let reader = tokio::spawn(assert_counts_never_decrease(reading, end.clone(), TICK));
    let writers = Writers::start(engine.clone(), TICK.div_f64(share));
    writers.more(RATE as u64).await;

    let new_backend = match &backend {
        // Both engines share one handle, because SQLite may starve one of two handles that write constantly.
        Backend::Sqlite(store) => Backend::Sqlite(store.clone()),
        Backend::Postgres(_) => Backend::open(place).await.unwrap(),
    };
    let new_engine = new_backend.engine();
    let (began, first) = (Instant::now(), writers.done());
    // On SQLite the old version keeps running beside the new one; on PostgreSQL it stops first.
    let mut old = Some(old);
    if let Backend::Postgres(_) = backend
        && let Some(old) = old.take()
    {
        old.stop().await;
    }
    let new = run::<2, 1>(&new_backend, &new_engine).await;
    // The measurement covers at least three seconds' worth of commands.
    let built = new.wait_until_current();
    let (built, ()) = tokio::join!(within("the build", built), writers.more(3 * RATE as u64));
    built.unwrap();
    let (commands, seconds) = (writers.done() - first, began.elapsed().as_secs_f64());
    let rate = commands as f64 / seconds;
    eprintln!("{commands} commands in {seconds:.2} s: {rate:.0} per second");

    let last = writers.end().await;
    within("catch-up", new.wait_for(last)).await.unwrap();
    end.store(true, SeqCst);
    assert!(reader.await.unwrap() > 0, "the reader read nothing");
    assert_equals_replay(&new_backend, &new_engine).await;
    let status = new.status().remove(0);
    assert_eq!((status.build, status.dead_letters), (2, 0));
    assert!(rate >= RATE * share, "only {rate:.0} commands per second");

    new.stop().await;
    if let Some(old) = old {
        old.stop().await;
    }
    new_backend.close().await;
    backend.close().await;
}

databases::on_each_store! {
    promotion_sustains_1000_commands_per_second;
}
