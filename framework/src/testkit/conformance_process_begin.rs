//! Process managers, handlers and schedules that come and go: where they begin, and what is left of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;

use super::VirtualClock;
use super::conformance::{Backend, everything};
use super::conformance_engine::{Count, CounterEvent, patient};
use super::conformance_process_lamps::{
    BY_ITSELF, LampEvent, Watch, idle, processes, put_out_of, tell,
};
use super::conformance_shop::DAY;
use crate::clock::Clock as _;
use crate::prelude::*;
use crate::process_managers::{EventHandler, HandlerError, MissedRuns, Orphan, Schedule};
use crate::store::Store;
use crate::timestamp::Timestamp;

/// Counts what it is given.
#[derive(Clone, Default)]
struct Bell(Arc<AtomicU64>);

#[async_trait]
impl EventHandler<CounterEvent> for Bell {
    async fn handle(&self, _: &Recorded<CounterEvent>) -> Result<(), HandlerError> {
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

/// A handler that is new begins behind what was stored when it was first started, whatever became of that start.
pub async fn event_handler_keeps_its_first_start_position<B: Backend>() {
    let place = B::create().await;
    let (engine, clock) = (patient(place.open().await), VirtualClock::new());
    let bell = Bell::default();
    let start = async || {
        let processes = processes(place.open().await, &clock, 2);
        processes.handler("bell", bell.clone()).start()
    };
    for counter in 0..2 {
        engine.execute(Count { counter }).await.expect("a count");
    }
    for counter in 2..5 {
        let ends_at_once = start().await;
        ends_at_once.wait_until_registered().await;
        drop(ends_at_once);
        engine.execute(Count { counter }).await.expect("a count");
    }
    let running = start().await;
    idle(&running).await;
    running.stop().await;
    let rung = bell.0.load(SeqCst);
    assert_eq!(rung, 3, "what was stored behind the first start, once");
}

async fn counts(store: &impl Store) -> Vec<String> {
    let events = everything(store, 100).await;
    let counts = events.iter().filter(|it| it.name.starts_with("counter."));
    counts.map(|event| event.stream.to_string()).collect()
}

fn assert_all_left(left: &[Orphan], until: Timestamp) {
    let [
        Orphan::ProcessManager {
            name: process, due, ..
        },
        Orphan::Handler { name: handler, .. },
        Orphan::Schedule {
            name: schedule,
            due: Some(_),
        },
    ] = left
    else {
        panic!("{left:?}")
    };
    assert_eq!((&**process, &**handler), ("watch", "bell"));
    assert_eq!((&**schedule, *due), ("gone", Some(until)));
}

/// What was taken out of the code does not happen, holds up nothing and is listed. A schedule can be forgotten, and begins
/// anew when it comes back; a process manager goes on where it stood.
pub async fn orphans_are_listed_and_block_nothing<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let (engine, clock) = (patient(store.clone()), VirtualClock::new());
    let daily = |name: &str, counter| {
        let schedule = Schedule::cron(name, "0 6 * * *", move |_| Count { counter });
        schedule.expect("a schedule").missed_runs(MissedRuns::All)
    };
    let all = processes(store.clone(), &clock, 2)
        .with::<Watch>()
        .handler("bell", Bell::default())
        .schedule(daily("gone", 1))
        .start();
    let until = clock.now() + DAY * 2;
    tell(&engine, 1, LampEvent::Lit { lamp: 1, until }).await;
    clock.advance(DAY);
    idle(&all).await;
    assert_eq!(counts(&store).await, ["counter-1"]);
    assert_eq!(all.orphans().await.expect("a list"), []);
    all.stop().await;

    let rest = processes(place.open().await, &clock, 2);
    let rest = rest.schedule(daily("stays", 2)).start();
    idle(&rest).await;
    clock.advance(DAY * 3);
    idle(&rest).await;
    let counted = counts(&store).await;
    assert_eq!(counted[..1], ["counter-1"]);
    assert!(!counted[1..].contains(&counted[0]), "it is gone");
    assert!(counted.len() >= 3, "the other goes on: {counted:?}");
    assert_eq!(put_out_of(&store, 1).await, [0; 0]);
    let left = rest.orphans().await.expect("a list");
    assert_all_left(&left, until);
    let forgotten = rest.delete_schedule("gone").await;
    assert!(forgotten.expect("it is not there"), "it was left behind");
    rest.delete_schedule("stays")
        .await
        .expect_err("it is there");
    assert_eq!(rest.orphans().await.expect("a list").len(), 2);
    rest.stop().await;

    let back = processes(place.open().await, &clock, 2);
    let back = back.with::<Watch>().schedule(daily("gone", 1)).start();
    idle(&back).await;
    back.stop().await;
    assert_eq!(put_out_of(&store, 1).await, [BY_ITSELF]);
    assert_eq!(counts(&store).await, counted, "it begins anew");
}
