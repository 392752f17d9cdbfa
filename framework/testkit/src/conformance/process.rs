//! Cases about process managers, schedules and event handlers under faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::engine::{Count, CounterEvent, retrying_engine};
use super::faults::with_seeds;
use super::harness::{Backend, all_events};
use super::shop::{DAY, Pay, Place, STOCK, Shop, orders};
use crate::{Faults, Faulty, VirtualClock};
use factum::prelude::*;
use factum_core::position::Position;
use factum_core::store::{EventStore as _, Store};
use factum_core::stream_id::StreamId;
use factum_engine::engine::RetryPolicy;
use factum_runtime::process::{EventHandler, HandlerError, MissedRuns, Schedule};
use factum_runtime::{Runtime, RuntimeBuilder, StartFrom};

/// Returns a builder of process managers with many attempts and a short lease.
fn processes(store: impl Store, clock: &VirtualClock) -> RuntimeBuilder {
    let retry = RetryPolicy {
        attempts: 1_000,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
    };
    Runtime::builder(&retrying_engine(store))
        .retry(retry)
        .lease(Duration::from_millis(60))
        .clock(clock.clone())
}

async fn idle(processes: &Runtime) {
    processes
        .wait_until_idle()
        .await
        .expect("the process managers should become idle");
}

async fn place_orders(engine: &Engine, orders: std::ops::Range<u64>, articles: u64) {
    for order in orders {
        let article = order % articles;
        let placed = engine.execute(Place { order, article }).await;
        placed.expect("the order should be placed");
    }
}

/// Each command of a process manager is executed once, and each rejection is compensated.
///
/// The store injects faults, and the program is stopped and killed at random points.
pub async fn process_commands_execute_once_under_faults<B: Backend>() {
    const ORDERS: u64 = 24;
    const ARTICLES: u64 = 4;
    with_seeds(async |seed| {
        let backend = B::create().await;
        let reliable = backend.open().await;
        let clock = VirtualClock::new();
        let mut rng = fastrand::Rng::with_seed(seed);
        let engine = retrying_engine(reliable.clone());
        let placing = tokio::spawn(async move { place_orders(&engine, 0..ORDERS, ARTICLES).await });
        let mut injected = 0;
        for run in 0..6 {
            let store = Faulty::new(backend.open().await, seed + run, Faults::default());
            let until = Position::new(rng.u64(1..ORDERS * 2 - 6));
            let running = processes(store.clone(), &clock).process::<Shop>(StartFrom::Beginning).start().await.expect("the runtime should start");
            let mut head = reliable.watch();
            let reached = head.wait_for(|head| *head >= until);
            reached.await.expect("the store should stay open");
            match rng.bool() {
                true => drop(running),
                false => running.stop().await,
            }
            injected += store.injected();
        }
        placing.await.expect("all orders should be placed");
        assert!(injected > 0, "no fault was injected");
        let last = processes(reliable.clone(), &clock).process::<Shop>(StartFrom::Beginning).start().await.expect("the runtime should start");
        idle(&last).await;
        last.stop().await;

        let orders = orders(&reliable).await;
        assert_eq!(
            orders.len() as u64,
            ORDERS,
            "the number of handled orders: {orders:?}"
        );
        let mut reserved = 0;
        for (order, history) in orders {
            match &history[..] {
                [entry] if entry == "reserved" => reserved += 1,
                [entry] if entry == "cancelled: sold out" => {}
                _ => panic!(
                    "order {order} must be reserved or cancelled exactly once, but its history is {history:?}"
                ),
            }
        }
        assert_eq!(reserved, STOCK * ARTICLES, "the number of reserved orders");
    })
    .await;
}

/// A deadline of thirty days fires once after a restart, on two nodes under faults.
///
/// It does not fire for orders that were paid in time.
pub async fn process_deadline_fires_once_on_two_nodes_under_faults<B: Backend>() {
    const ORDERS: u64 = 12;
    with_seeds(async |seed| {
        let backend = B::create().await;
        let clock = VirtualClock::new();
        let faulty = async |run| Faulty::new(backend.open().await, seed + run, Faults::default());
        let start = async |run| {
            let store = faulty(run).await;
            processes(store, &clock)
                .process::<Shop>(StartFrom::Beginning)
                .start()
                .await
                .expect("the runtime should start")
        };
        let first = start(0).await;
        let engine = retrying_engine(backend.open().await);
        place_orders(&engine, 0..ORDERS, ORDERS).await;
        idle(&first).await;
        for order in 0..ORDERS / 2 {
            let paid = engine.execute(Pay { order }).await;
            paid.expect("the order should be paid");
        }
        clock.advance(DAY * 29);
        idle(&first).await;
        first.stop().await;
        clock.advance(DAY);
        let nodes = [start(1).await, start(2).await];
        for node in &nodes {
            idle(node).await;
        }
        clock.advance(DAY * 60);
        for node in nodes {
            idle(&node).await;
            node.stop().await;
        }
        let orders = orders(&backend.open().await).await;
        for (order, history) in &orders {
            let last = match *order < ORDERS / 2 {
                true => "paid",
                false => "cancelled: payment",
            };
            assert_eq!(history, &["reserved", last], "the history of order {order}");
        }
        assert_eq!(orders.len() as u64, ORDERS);
    })
    .await;
}

/// Each run of a schedule executes its command once, on two nodes under faults.
///
/// After a pause, the missed runs are executed as [`MissedRuns`] requests: the latest one or all of them.
pub async fn schedule_fires_once_on_two_nodes_under_faults<B: Backend>() {
    with_seeds(async |seed| {
        let backend = B::create().await;
        let clock = VirtualClock::new();
        let start = async |run| {
            let schedule = |name: &'static str, counter, missed| {
                let schedule = Schedule::cron(name, "0 6 * * *", move |_| Count { counter });
                let schedule = schedule.expect("the schedule should be valid");
                schedule.missed_runs(missed)
            };
            let store = Faulty::new(backend.open().await, seed + run, Faults::default());
            processes(store, &clock)
                .schedule(schedule("latest", 1, MissedRuns::Latest))
                .schedule(schedule("all", 2, MissedRuns::All))
                .start()
                .await
                .expect("the runtime should start")
        };
        let first = start(0).await;
        idle(&first).await;
        clock.advance(DAY);
        idle(&first).await;
        first.stop().await;
        clock.advance(DAY * 5);
        let nodes = [start(1).await, start(2).await];
        for node in &nodes {
            idle(node).await;
        }
        for node in nodes {
            node.stop().await;
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for event in all_events(&backend.open().await, 100).await {
            *counts.entry(event.stream.to_string()).or_default() += 1;
        }
        let expected = [("counter-1".to_owned(), 2), ("counter-2".to_owned(), 6)];
        assert_eq!(counts, BTreeMap::from(expected));
    })
    .await;
}

/// An event handler that records the handled events by stream, and sometimes fails.
#[derive(Default, Clone)]
struct HandledEvents(Arc<Mutex<BTreeMap<StreamId, Vec<u64>>>>);

impl EventHandler<CounterEvent> for HandledEvents {
    async fn handle(&self, event: &Recorded<CounterEvent>) -> Result<(), HandlerError> {
        tokio::task::yield_now().await;
        let CounterEvent::Counted { to, .. } = &event.event;
        // Some events fail before they succeed.
        if to % 5 == 0 && fastrand::bool() {
            return Err("the post office is closed".into());
        }
        let mut handled = self.0.lock().expect("the lock should be free");
        handled
            .entry(event.record.stream.clone())
            .or_default()
            .push(*to);
        Ok(())
    }
}

/// An event handler gets each event at least once, and the events of one stream in order, under faults.
pub async fn event_handler_gets_every_event_under_faults<B: Backend>() {
    const STREAMS: u64 = 5;
    const EACH: u64 = 12;
    with_seeds(async |seed| {
        let backend = B::create().await;
        let reliable = backend.open().await;
        let store = Faulty::new(backend.open().await, seed, Faults::default());
        let handler = HandledEvents::default();
        let running = processes(store, &VirtualClock::new())
            .handler("post", handler.clone(), StartFrom::Beginning)
            .start()
            .await
            .expect("the runtime should start");
        let engine = retrying_engine(reliable.clone());
        for number in 0..STREAMS * EACH {
            let counter = number % STREAMS;
            let counted = engine.execute(Count { counter }).await;
            counted.expect("the count should succeed");
        }
        idle(&running).await;
        running.stop().await;
        let handled = handler.0.lock().expect("the lock should be free").clone();
        assert_eq!(handled.len() as u64, STREAMS, "the number of streams");
        for (stream, numbers) in handled {
            let mut firsts = Vec::new();
            for number in numbers {
                if !firsts.contains(&number) {
                    firsts.push(number);
                }
            }
            let expected: Vec<u64> = (1..=EACH).collect();
            assert_eq!(firsts, expected, "the handled events of {stream}");
        }
    })
    .await;
}
