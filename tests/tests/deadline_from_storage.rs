//! Deadlines that count from the storage of an event, and not from the decision or the processing of the event.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use factum::prelude::*;
use factum::process::{Correlation, Deadline, React, Reactions, Rejection, Respond};
use factum::store::async_trait;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Read, StoreError,
};
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;
use tokio::sync::watch;

const HOUR: Duration = Duration::from_hours(1);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed,
    Reminded,
    Cancelled,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u64, event = OrderEvent)]
struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Cancel {
    #[id]
    order: u64,
}

impl Decide for Cancel {
    type Error = Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Infallible> {
        Ok(OrderEvent::Cancelled.into())
    }
}

/// Places an order, which is cancelled after an hour.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Place {
    #[id]
    order: u64,
}

impl Decide for Place {
    type Error = Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Infallible> {
        let cancel = Cancel { order: self.order };
        Ok(Events::from([OrderEvent::Placed, OrderEvent::Reminded])
            .deadline("payment", HOUR, cancel))
    }
}

/// Cancels an order an hour after it was placed, as a process manager.
#[derive(ProcessManager, Debug, Default, Clone, Serialize, Deserialize)]
#[process_manager(name = "payment", id = u64, events = OrderEvent, commands = Cancel)]
struct Payment;

impl Apply<OrderEvent> for Payment {
    fn apply(&mut self, _: &OrderEvent) {}
}

impl React<OrderEvent> for Payment {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u64> {
        match event.event {
            OrderEvent::Placed => Correlation::Starts(event.record.stream.key().parse().unwrap()),
            _ => Correlation::Ignored,
        }
    }

    fn react(&self, _: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        then.deadline("payment", HOUR);
    }
}

impl Respond for Payment {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        let order = then.instance().parse().unwrap();
        then.send(Cancel { order }).complete();
    }
}

/// A store whose appends wait while the gate is closed.
#[derive(Clone)]
struct SlowStore {
    store: MemoryStore,
    is_open: Arc<watch::Sender<bool>>,
    waiting: Arc<watch::Sender<u32>>,
}

impl SlowStore {
    fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            is_open: Arc::new(watch::Sender::new(true)),
            waiting: Arc::default(),
        }
    }
}

#[async_trait]
impl EventStore for SlowStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let mut is_open = self.is_open.subscribe();
        is_open.wait_for(|is_open| *is_open).await.unwrap();
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] SlowStore, |this| this.store);
factum::store::delegate!(documents, [] SlowStore, |this| this.store);

async fn is_cancelled(engine: &Engine, order: u64) -> bool {
    let history = engine.history::<Order>(&order).await.unwrap();
    history
        .iter()
        .any(|event| event.event == OrderEvent::Cancelled)
}

#[tokio::test]
async fn deadline_counts_from_the_storage_of_a_slow_append() {
    let (store, clock) = (SlowStore::new(), VirtualClock::new());
    let engine = Engine::builder(store.clone()).clock(clock.clone()).build();
    let runtime = Runtime::builder(&engine)
        .deadlines::<Cancel>()
        .start()
        .await
        .unwrap();
    engine.execute(Place { order: 1 }).await.unwrap();

    store.is_open.send_replace(false);
    let (before, mut waiting) = (*store.waiting.borrow(), store.waiting.subscribe());
    let placed = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.execute(Place { order: 2 }).await })
    };
    waiting.wait_for(|waiting| *waiting > before).await.unwrap();
    clock.advance(2 * HOUR);
    store.is_open.send_replace(true);
    placed.await.unwrap().unwrap();
    runtime.wait_until_idle().await.unwrap();
    assert!(is_cancelled(&engine, 1).await);
    assert!(
        !is_cancelled(&engine, 2).await,
        "an hour after the decision"
    );

    clock.advance(HOUR);
    runtime.wait_until_idle().await.unwrap();
    assert!(is_cancelled(&engine, 2).await);
    runtime.stop().await;
}

#[tokio::test]
async fn process_deadlines_count_by_the_virtual_clock() {
    let clock = VirtualClock::new();
    let engine = Engine::builder(MemoryStore::new())
        .clock(clock.clone())
        .build();
    let runtime = Runtime::builder(&engine)
        .process::<Payment>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    for order in 1..=3 {
        engine.execute(Place { order }).await.unwrap();
        runtime.wait_until_idle().await.unwrap();
        clock.advance(HOUR - Duration::from_secs(60));
        runtime.wait_until_idle().await.unwrap();
        assert!(!is_cancelled(&engine, order).await, "order {order}");
        clock.advance(Duration::from_secs(60));
        runtime.wait_until_idle().await.unwrap();
        assert!(is_cancelled(&engine, order).await, "order {order}");
    }
    runtime.stop().await;
}

#[tokio::test]
async fn process_deadline_counts_from_an_event_before_the_clock_was_advanced() {
    let clock = VirtualClock::new();
    let engine = Engine::builder(MemoryStore::new())
        .clock(clock.clone())
        .build();
    engine.execute(Place { order: 1 }).await.unwrap();
    clock.advance(2 * HOUR);
    engine.execute(Place { order: 2 }).await.unwrap();
    let runtime = Runtime::builder(&engine)
        .process::<Payment>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    runtime.wait_until_idle().await.unwrap();
    assert!(is_cancelled(&engine, 1).await);
    assert!(!is_cancelled(&engine, 2).await);
    runtime.stop().await;
}
