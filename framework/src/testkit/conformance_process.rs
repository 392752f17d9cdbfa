//! Process managers: each command has its effect once, each deadline passes once, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::conformance::{Backend, everything};
use super::conformance_engine::{Count, CounterEvent, patient};
use super::conformance_faults::with_seeds;
use super::conformance_shop::{DAY, Pay, Place, STOCK, Shop, orders};
use super::{Faults, Faulty, VirtualClock};
use crate::engine::RetryPolicy;
use crate::position::Position;
use crate::prelude::*;
use crate::process_managers::{
    EventHandler, HandlerError, HandlerOptions, MissedRuns, ProcessManagersBuilder, Schedule,
};
use crate::store::{EventStore as _, Store};
use crate::stream::StreamId;

/// Process managers that give up nothing, and take over from others soon.
fn processes(store: impl Store, clock: &VirtualClock) -> ProcessManagersBuilder {
    let retry = RetryPolicy {
        attempts: 1_000,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
    };
    ProcessManagers::builder(&patient(store))
        .retry(retry)
        .lease(Duration::from_millis(60))
        .clock(clock.clone())
}

async fn idle(processes: &ProcessManagers) {
    processes
        .wait_until_idle()
        .await
        .expect("a process manager does what is due");
}

async fn place_orders(engine: &Engine, orders: std::ops::Range<u64>, articles: u64) {
    for order in orders {
        let article = order % articles;
        let placed = engine.execute(Place { order, article }).await;
        placed.expect("an order is placed");
    }
}

/// Each command of a process manager has its effect exactly once, and what is rejected is compensated for: over a store
/// that fails, and over runs of the program that end anywhere.
pub async fn process_commands_execute_once_under_faults<B: Backend>() {
    const ORDERS: u64 = 24;
    const ARTICLES: u64 = 4;
    with_seeds(async |seed| {
        let place = B::create().await;
        let sound = place.open().await;
        let clock = VirtualClock::new();
        let mut dice = fastrand::Rng::with_seed(seed);
        let engine = patient(sound.clone());
        let placing = tokio::spawn(async move { place_orders(&engine, 0..ORDERS, ARTICLES).await });
        let mut injected = 0;
        for run in 0..6 {
            let store = Faulty::new(place.open().await, seed + run, Faults::default());
            let until = Position::new(dice.u64(1..ORDERS * 2 - 6));
            let running = processes(store.clone(), &clock).with::<Shop>().start();
            let mut head = sound.watch();
            let reached = head.wait_for(|head| *head >= until);
            reached.await.expect("the store lives");
            match dice.bool() {
                true => drop(running),
                false => running.stop().await,
            }
            injected += store.injected();
        }
        placing.await.expect("all orders are placed");
        assert!(injected > 0, "no fault was met");
        let last = processes(sound.clone(), &clock).with::<Shop>().start();
        idle(&last).await;
        last.stop().await;

        let orders = orders(&sound).await;
        assert_eq!(orders.len() as u64, ORDERS, "{orders:?}");
        let mut reserved = 0;
        for (order, happened) in orders {
            match &happened[..] {
                [what] if what == "reserved" => reserved += 1,
                [what] if what == "cancelled: sold out" => {}
                _ => panic!("of order {order}: {happened:?}"),
            }
        }
        assert_eq!(reserved, STOCK * ARTICLES);
    })
    .await;
}

/// A deadline of thirty days passes once, in another run of the program and over two instances of it, over a store that
/// fails; what was paid meanwhile has none.
pub async fn process_deadline_fires_once_on_two_nodes_under_faults<B: Backend>() {
    const ORDERS: u64 = 12;
    with_seeds(async |seed| {
        let place = B::create().await;
        let clock = VirtualClock::new();
        let faulty = async |run| Faulty::new(place.open().await, seed + run, Faults::default());
        let start = async |run| {
            let store = faulty(run).await;
            processes(store, &clock).with::<Shop>().start()
        };
        let first = start(0).await;
        let engine = patient(place.open().await);
        place_orders(&engine, 0..ORDERS, ORDERS).await;
        idle(&first).await;
        for order in 0..ORDERS / 2 {
            engine.execute(Pay { order }).await.expect("it is paid");
        }
        clock.advance(DAY * 29);
        idle(&first).await;
        first.stop().await;
        clock.advance(DAY);
        let runners = [start(1).await, start(2).await];
        for runner in &runners {
            idle(runner).await;
        }
        clock.advance(DAY * 60);
        for runner in runners {
            idle(&runner).await;
            runner.stop().await;
        }
        let orders = orders(&place.open().await).await;
        for (order, happened) in &orders {
            let last = match *order < ORDERS / 2 {
                true => "paid",
                false => "cancelled: payment",
            };
            assert_eq!(happened, &["reserved", last], "of order {order}");
        }
        assert_eq!(orders.len() as u64, ORDERS);
    })
    .await;
}

/// Each occurrence of a schedule executes its command once, over two instances of the program and a store that fails; of
/// those missed the latest, or all.
pub async fn schedule_fires_once_on_two_nodes_under_faults<B: Backend>() {
    with_seeds(async |seed| {
        let place = B::create().await;
        let clock = VirtualClock::new();
        let start = async |run| {
            let schedule = |name: &'static str, counter, missed| {
                let occurs = Schedule::cron(name, "0 6 * * *", move |_| Count { counter });
                occurs.expect("a schedule").missed_runs(missed)
            };
            let store = Faulty::new(place.open().await, seed + run, Faults::default());
            processes(store, &clock)
                .schedule(schedule("latest", 1, MissedRuns::Latest))
                .schedule(schedule("all", 2, MissedRuns::All))
                .start()
        };
        let first = start(0).await;
        idle(&first).await;
        clock.advance(DAY);
        idle(&first).await;
        first.stop().await;
        clock.advance(DAY * 5);
        let runners = [start(1).await, start(2).await];
        for runner in &runners {
            idle(runner).await;
        }
        for runner in runners {
            runner.stop().await;
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for event in everything(&place.open().await, 100).await {
            *counts.entry(event.stream.to_string()).or_default() += 1;
        }
        let expected = [("counter-1".to_owned(), 2), ("counter-2".to_owned(), 6)];
        assert_eq!(counts, BTreeMap::from(expected));
    })
    .await;
}

/// What was delivered, by stream.
#[derive(Default, Clone)]
struct Outbox(Arc<Mutex<BTreeMap<StreamId, Vec<u64>>>>);

#[async_trait]
impl EventHandler<CounterEvent> for Outbox {
    async fn handle(&self, event: &Recorded<CounterEvent>) -> Result<(), HandlerError> {
        tokio::task::yield_now().await;
        let CounterEvent::Counted { to, .. } = &event.event;
        // Some fail at first.
        if to % 5 == 0 && fastrand::bool() {
            return Err("the post office is closed".into());
        }
        let mut delivered = self.0.lock().expect("a lock");
        delivered
            .entry(event.record.stream.clone())
            .or_default()
            .push(*to);
        Ok(())
    }
}

/// A handler is given each event at least once, the events of one stream in order, over a store that fails.
pub async fn event_handler_gets_every_event_under_faults<B: Backend>() {
    const STREAMS: u64 = 5;
    const EACH: u64 = 12;
    with_seeds(async |seed| {
        let place = B::create().await;
        let sound = place.open().await;
        let store = Faulty::new(place.open().await, seed, Faults::default());
        let outbox = Outbox::default();
        let running = processes(store, &VirtualClock::new())
            .handler_with(
                "post",
                outbox.clone(),
                HandlerOptions::default().from_beginning(),
            )
            .start();
        let engine = patient(sound.clone());
        for number in 0..STREAMS * EACH {
            let counter = number % STREAMS;
            engine.execute(Count { counter }).await.expect("a count");
        }
        idle(&running).await;
        running.stop().await;
        let delivered = outbox.0.lock().expect("a lock").clone();
        assert_eq!(delivered.len() as u64, STREAMS);
        for (stream, numbers) in delivered {
            let mut firsts = Vec::new();
            for number in numbers {
                if !firsts.contains(&number) {
                    firsts.push(number);
                }
            }
            let expected: Vec<u64> = (1..=EACH).collect();
            assert_eq!(firsts, expected, "{stream}");
        }
    })
    .await;
}
