//! Deadlines of process managers by a clock that is set back, and far from now.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "process_support/shut.rs"]
mod shut;

use std::sync::Arc;
use std::time::Duration;

use factum::clock::Clock;
use factum::prelude::*;
use factum::process::When;
use factum::{Query, Read, RetryPolicy, Timestamp};
use factum_memory::MemoryStore;
use shut::Shut;
use tokio::sync::watch;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed { order: u32, pay: Pay },
    Paid { order: u32 },
    Cancelled { order: u32 },
}

/// Within what time it is to be paid.
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

/// Says what has happened to an order.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Tell {
    #[id]
    order: u32,
    event: OrderEvent,
}

impl Decide for Tell {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "shop", id = u32, events = OrderEvent, commands = Tell)]
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
        then.send(Tell { order, event }).complete();
    }
}

/// A clock that is so far ahead of that of the machine, and can be set back.
#[derive(Clone, Default)]
struct Set(Arc<watch::Sender<Duration>>);

#[factum::async_trait]
impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::now() + *self.0.borrow()
    }

    async fn sleep_until(&self, time: Timestamp) {
        let mut set = self.0.subscribe();
        while self.now() < time {
            let rest = time.since(self.now()).min(DAY);
            let _ = tokio::time::timeout(rest, set.changed()).await;
        }
    }
}

fn start(engine: &Engine, clock: &Set) -> ProcessManagers {
    ProcessManagers::builder(engine)
        .with::<Shop>()
        .clock(clock.clone())
        .retry(RetryPolicy::default())
        .lease(Duration::from_millis(60))
        .start()
}

async fn idle(running: &ProcessManagers) {
    let idle = tokio::time::timeout(Duration::from_secs(20), running.wait_until_idle());
    idle.await.expect("it comes to an end").unwrap();
}

async fn tell(engine: &Engine, order: u32, event: OrderEvent) {
    engine.execute(Tell { order, event }).await.unwrap();
}

async fn place(engine: &Engine, order: u32, pay: Pay) {
    tell(engine, order, OrderEvent::Placed { order, pay }).await;
}

async fn cancelled(engine: &Engine) -> Vec<u32> {
    let read = Read::all(Query::names(["order.cancelled"]));
    let page = engine.store().read(read).await.unwrap();
    let orders = page.events.iter().map(|record| record.decode().unwrap());
    let orders = orders.filter_map(|event| match event {
        OrderEvent::Cancelled { order } => Some(order),
        _ => None,
    });
    orders.collect()
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_deadline_pass_ahead_of_what_was_stored_in_time() {
    let store = MemoryStore::new();
    let (engine, clock) = (Engine::new(store.clone()), Set::default());
    let slow = Shut::new(&store);
    let running = start(&Engine::new(slow.clone()), &clock);
    place(&engine, 1, Pay::InADay).await;
    idle(&running).await;
    clock.0.send_replace(DAY * 10);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, [1]);

    clock.0.send_replace(Duration::ZERO);
    place(&engine, 2, Pay::InADay).await;
    idle(&running).await;
    slow.shut.send_replace(true);
    tell(&engine, 2, OrderEvent::Paid { order: 2 }).await;
    clock.0.send_replace(DAY * 2);
    let mut looks = slow.looks.subscribe();
    let enough = *looks.borrow() + 4;
    looks.wait_for(|looks| *looks > enough).await.unwrap();
    assert_eq!(cancelled(&engine).await, [1], "it was paid");
    slow.shut.send_replace(false);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, [1]);
    running.stop().await;
}

#[tokio::test]
async fn deadlines_at_both_ends_of_time_hold_up_no_other() {
    let (engine, clock) = (Engine::new(MemoryStore::new()), Set::default());
    let running = start(&engine, &clock);
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
        "late rather than never"
    );
}
