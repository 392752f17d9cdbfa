//! Cases about the start positions of new consumers and the orphans of removed ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::engine::{Count, CounterEvent, retrying_engine};
use super::harness::{Backend, all_events};
use super::process_lamps::{BY_DEADLINE, LampEvent, Watch, idle, processes, put_out_of, report};
use super::shop::DAY;
use crate::VirtualClock;
use factum::prelude::*;
use factum_core::store::Store;
use factum_core::timestamp::Timestamp;
use factum_engine::clock::Clock as _;
use factum_runtime::StartFrom;
use factum_runtime::process::{EventHandler, HandlerError, MissedRuns, Orphan, Schedule};

/// An event handler that counts its events.
#[derive(Clone, Default)]
struct Bell(Arc<AtomicU64>);

impl EventHandler<CounterEvent> for Bell {
    async fn handle(&self, _: &Recorded<CounterEvent>) -> Result<(), HandlerError> {
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

/// A new event handler starts after the events that were stored at its first start.
///
/// The position stays the same even if the program stopped right after that start.
pub async fn event_handler_keeps_its_first_start_position<B: Backend>() {
    let backend = B::create().await;
    let (engine, clock) = (retrying_engine(backend.open().await), VirtualClock::new());
    let bell = Bell::default();
    let start = async || {
        let processes = processes(backend.open().await, &clock, 2);
        processes
            .handler("bell", bell.clone(), StartFrom::End)
            .start()
            .await
            .expect("the runtime should start")
    };
    for counter in 0..2 {
        let counted = engine.execute(Count { counter }).await;
        counted.expect("the count should succeed");
    }
    for counter in 2..5 {
        let running = start().await;
        drop(running);
        let counted = engine.execute(Count { counter }).await;
        counted.expect("the count should succeed");
    }
    let running = start().await;
    idle(&running).await;
    running.stop().await;
    let handled = bell.0.load(SeqCst);
    assert_eq!(handled, 3, "the number of handled events");
}

async fn counts(store: &impl Store) -> Vec<String> {
    let events = all_events(store, 100).await;
    let counts = events.iter().filter(|it| it.name.starts_with("counter."));
    counts.map(|event| event.stream.to_string()).collect()
}

fn assert_all_orphaned(orphans: &[Orphan], until: Timestamp) {
    let [
        Orphan::ProcessManager {
            name: process, due, ..
        },
        Orphan::EventHandler { name: handler, .. },
        Orphan::Schedule {
            name: schedule,
            due: Some(_),
        },
    ] = orphans
    else {
        panic!("expected a process manager, a handler and a schedule, got {orphans:?}")
    };
    assert_eq!((&**process, &**handler), ("watch", "bell"));
    assert_eq!((&**schedule, *due), ("gone", Some(until)));
}

/// Removed process managers, handlers and schedules are listed as orphans and block nothing.
///
/// A schedule that was deleted and is added again starts from scratch; a process manager that is added again resumes.
pub async fn orphans_are_listed_and_block_nothing<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let (engine, clock) = (retrying_engine(store.clone()), VirtualClock::new());
    let daily = |name: &str, counter| {
        let schedule = Schedule::cron(name, "0 6 * * *", move |_| Count { counter });
        let schedule = schedule.expect("the schedule should be valid");
        schedule.missed_runs(MissedRuns::All)
    };
    let all = processes(store.clone(), &clock, 2)
        .process::<Watch>(StartFrom::Beginning)
        .handler("bell", Bell::default(), StartFrom::End)
        .schedule(daily("gone", 1))
        .start()
        .await
        .expect("the runtime should start");
    let until = clock.now() + DAY * 2;
    report(&engine, 1, LampEvent::Lit { lamp: 1, until }).await;
    clock.advance(DAY);
    idle(&all).await;
    assert_eq!(counts(&store).await, ["counter-1"]);
    let orphans = all.orphans().await;
    assert_eq!(orphans.expect("the orphans should be readable"), []);
    all.stop().await;

    let rest = processes(backend.open().await, &clock, 2);
    let rest = rest
        .schedule(daily("stays", 2))
        .start()
        .await
        .expect("the runtime should start");
    idle(&rest).await;
    clock.advance(DAY * 3);
    idle(&rest).await;
    let counted = counts(&store).await;
    assert_eq!(counted[..1], ["counter-1"]);
    assert!(
        !counted[1..].contains(&counted[0]),
        "the removed schedule must not run, but counted in {counted:?}"
    );
    assert!(
        counted.len() >= 3,
        "the other schedule must continue, but counted only in {counted:?}"
    );
    assert_eq!(put_out_of(&store, 1).await, [0; 0]);
    let orphans = rest.orphans().await;
    let orphans = orphans.expect("the orphans should be readable");
    assert_all_orphaned(&orphans, until);
    let deleted = rest.delete_schedule("gone").await;
    let deleted = deleted.expect("an orphaned schedule should be deletable");
    assert!(deleted, "the orphaned schedule must exist");
    rest.delete_schedule("stays")
        .await
        .expect_err("a running schedule should not be deletable");
    let orphans = rest.orphans().await;
    let orphans = orphans.expect("the orphans should be readable");
    assert_eq!(orphans.len(), 2, "the number of orphans");
    rest.stop().await;

    let back = processes(backend.open().await, &clock, 2);
    let back = back
        .process::<Watch>(StartFrom::Beginning)
        .schedule(daily("gone", 1))
        .start()
        .await
        .expect("the runtime should start");
    idle(&back).await;
    back.stop().await;
    assert_eq!(put_out_of(&store, 1).await, [BY_DEADLINE]);
    assert_eq!(
        counts(&store).await,
        counted,
        "a deleted schedule must not execute missed runs when it is added again"
    );
}
