//! Deadlines of process managers with a clock that is set back, and at the ends of the time range.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "process_support/gated_store.rs"]
mod gated_store;

use std::sync::Arc;
use std::time::Duration;

use factum::Timestamp;
use factum::engine::Clock;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::process::When;
use factum::store::{Query, Read};
use factum_memory::MemoryStore;
use gated_store::GatedStore;
use tokio::sync::watch;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed { order: u32, pay: Pay },
    Paid { order: u32 },
    Cancelled { order: u32 },
}

/// The time within which an order must be paid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Pay {
    InADay,
    Never,
    LongAgo,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u32, event = OrderEvent)]
struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

/// Emits an event.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Emit {
    #[id]
    order: u32,
    event: OrderEvent,
}

impl Decide for Emit {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "shop", id = u32, events = OrderEvent, commands = Emit)]
struct Shop {
    order: u32,
}

impl Apply<OrderEvent> for Shop {
    fn apply(&mut self, event: &OrderEvent) {
        if let OrderEvent::Placed { order, .. } = event {
            self.order = *order;
        }
    }
}

impl React<OrderEvent> for Shop {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u32> {
        match event.event {
            OrderEvent::Placed { order, .. } => Correlation::Starts(order),
            OrderEvent::Paid { order } => Correlation::Continues(order),
            OrderEvent::Cancelled { .. } => Correlation::Ignored,
        }
    }

    fn react(&self, event: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        let when = match event.event {
            OrderEvent::Placed { pay, .. } => match pay {
                Pay::InADay => When::After(DAY),
                Pay::Never => When::After(Duration::MAX),
                Pay::LongAgo => When::At(Timestamp::from_micros(i64::MIN)),
            },
            _ => {
                then.complete();
                return;
            }
        };
        then.deadline("payment", when);
    }
}

impl Respond for Shop {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        let order = self.order;
        let event = OrderEvent::Cancelled { order };
        then.send(Emit { order, event }).complete();
    }
}

/// The system clock plus an adjustable offset.
#[derive(Clone, Default)]
struct AdjustableClock(Arc<watch::Sender<Duration>>);

impl Clock for AdjustableClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + *self.0.borrow()
    }

    async fn sleep_until(&self, time: Timestamp) {
        let mut offset = self.0.subscribe();
        while self.now() < time {
            let rest = time.since(self.now()).min(DAY);
            let _ = tokio::time::timeout(rest, offset.changed()).await;
        }
    }
}

async fn start(engine: &Engine, clock: &AdjustableClock) -> Runtime {
    Runtime::builder(engine)
        .process::<Shop>(StartFrom::Beginning)
        .clock(clock.clone())
        .retry(RetryPolicy::default())
        .lease(Duration::from_millis(60))
        .start()
        .await
        .unwrap()
}

async fn idle(running: &Runtime) {
    let idle = tokio::time::timeout(Duration::from_secs(20), running.wait_until_idle());
    idle.await
        .expect("the process managers did not become idle")
        .unwrap();
}

async fn emit(engine: &Engine, order: u32, event: OrderEvent) {
    engine.execute(Emit { order, event }).await.unwrap();
}

async fn place(engine: &Engine, order: u32, pay: Pay) {
    emit(engine, order, OrderEvent::Placed { order, pay }).await;
}

/// Returns the cancelled orders, in order.
async fn cancelled(engine: &Engine) -> Vec<u32> {
    let read = Read::all(Query::event_types(["order.cancelled"]));
    let page = engine.store().read(read).await.unwrap();
    let orders = page.events.iter().map(|record| record.decode().unwrap());
    let orders = orders.filter_map(|event| match event {
        OrderEvent::Cancelled { order } => Some(order),
        _ => None,
    });
    orders.collect()
}

#[tokio::test]
async fn clock_set_back_does_not_fire_deadlines_early() {
    let store = MemoryStore::new();
    let (engine, clock) = (Engine::new(store.clone()), AdjustableClock::default());
    let gated = GatedStore::new(&store);
    let running = start(&Engine::new(gated.clone()), &clock).await;
    place(&engine, 1, Pay::InADay).await;
    idle(&running).await;
    clock.0.send_replace(DAY * 10);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, [1]);

    clock.0.send_replace(Duration::ZERO);
    place(&engine, 2, Pay::InADay).await;
    idle(&running).await;
    gated.closed.send_replace(true);
    emit(&engine, 2, OrderEvent::Paid { order: 2 }).await;
    clock.0.send_replace(DAY * 2);
    let mut scans = gated.scans.subscribe();
    let enough = *scans.borrow() + 4;
    scans.wait_for(|scans| *scans > enough).await.unwrap();
    assert_eq!(cancelled(&engine).await, [1], "order 2 was paid");
    gated.closed.send_replace(false);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, [1]);
    running.stop().await;
}

#[tokio::test]
async fn extreme_deadlines_do_not_block_others() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), AdjustableClock::default());
    let running = start(&engine, &clock).await;
    for (order, pay) in [(1, Pay::Never), (2, Pay::LongAgo), (3, Pay::InADay)] {
        place(&engine, order, pay).await;
    }
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, [2]);
    clock.0.send_replace(DAY);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, [2, 3]);
    clock.0.send_replace(Duration::MAX);
    idle(&running).await;
    running.stop().await;
    assert_eq!(
        cancelled(&engine).await,
        [2, 3, 1],
        "overdue deadlines fire"
    );
}
