//! What waits for what: deadlines for the events that were stored before they were due, and the events of an instance for
//! those that are parked.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "process_support/shut.rs"]
mod shut;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::document::{Changes, DocumentStore as _, Scan};
use factum::prelude::*;
use factum::process_managers::ProcessManagersBuilder;
use factum::projections::DeadLetterState;
use factum::testkit::VirtualClock;
use factum::{Position, Query, Read, RetryPolicy};
use factum_memory::MemoryStore;
use shut::Shut;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed { order: u32 },
    Packed { order: u32 },
    Cancelled { order: u32 },
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "payment")]
enum PaymentEvent {
    Received { order: u32 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u32, event = OrderEvent)]
struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "payment", id = u32, event = PaymentEvent)]
struct Payment;

impl Apply<PaymentEvent> for Payment {
    fn apply(&mut self, _: &PaymentEvent) {}
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

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Payment)]
struct Pay {
    #[id]
    order: u32,
}

impl Decide for Pay {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Payment) -> Result<Events<PaymentEvent>, Self::Error> {
        Ok(PaymentEvent::Received { order: self.order }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Cancel {
    #[id]
    order: u32,
}

impl Decide for Cancel {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(OrderEvent::Cancelled { order: self.order }.into())
    }
}

/// Orders from here on are not understood, from 200 on not taken in, while it is [`JAMMED`].
const STRANGE: u32 = 100;
static JAMMED: AtomicBool = AtomicBool::new(true);

fn jams(order: u32, from: u32) {
    let jammed = JAMMED.load(SeqCst) && (from..from + 100).contains(&order);
    assert!(!jammed, "jammed");
}

/// An order is paid within a day, or cancelled.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(
    name = "shop",
    id = u32,
    events = (OrderEvent, PaymentEvent),
    commands = Cancel,
)]
struct Shop {
    order: u32,
}

impl Apply<OrderEvent> for Shop {
    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed { order } => {
                jams(*order, 300);
                self.order = *order;
            }
            OrderEvent::Packed { order } => jams(*order, 200),
            OrderEvent::Cancelled { .. } => {}
        }
    }
}

impl Apply<PaymentEvent> for Shop {
    fn apply(&mut self, _: &PaymentEvent) {}
}

impl React<OrderEvent> for Shop {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u32> {
        match event.event {
            OrderEvent::Placed { order } => {
                jams(order, STRANGE);
                Correlation::Starts(order)
            }
            OrderEvent::Packed { order } => Correlation::Continues(order),
            OrderEvent::Cancelled { .. } => Correlation::Ignored,
        }
    }

    fn react(&self, _: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        then.deadline("payment", DAY);
    }
}

impl React<PaymentEvent> for Shop {
    fn correlate(event: &Recorded<PaymentEvent>) -> Correlation<u32> {
        let PaymentEvent::Received { order } = event.event;
        Correlation::Continues(order)
    }

    fn react(&self, _: &Recorded<PaymentEvent>, then: &mut Reactions<Self>) {
        then.complete();
    }
}

impl Respond for Shop {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        let order = self.order;
        then.send(Cancel { order }).complete();
    }
}

/// The same, and all that it keeps in mind is that there is an order.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "bare", id = u32, events = (OrderEvent, PaymentEvent), commands = Cancel)]
struct Bare;

impl Apply<OrderEvent> for Bare {
    fn apply(&mut self, _: &OrderEvent) {}
}

impl Apply<PaymentEvent> for Bare {
    fn apply(&mut self, _: &PaymentEvent) {}
}

impl React<OrderEvent> for Bare {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u32> {
        Shop::correlate(event)
    }

    fn react(&self, _: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        then.deadline("payment", DAY);
    }
}

impl React<PaymentEvent> for Bare {
    fn correlate(event: &Recorded<PaymentEvent>) -> Correlation<u32> {
        Shop::correlate(event)
    }

    fn react(&self, _: &Recorded<PaymentEvent>, then: &mut Reactions<Self>) {
        then.complete();
    }
}

impl Respond for Bare {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        then.send(Cancel { order: 1 }).complete();
    }
}

fn processes(engine: &Engine, clock: &VirtualClock) -> ProcessManagersBuilder {
    let retry = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    ProcessManagers::builder(engine)
        .clock(clock.clone())
        .retry(retry)
        .lease(Duration::from_millis(60))
}

async fn idle(running: &ProcessManagers) {
    let idle = tokio::time::timeout(Duration::from_secs(20), running.wait_until_idle());
    idle.await.expect("it comes to an end").unwrap();
}

async fn place(engine: &Engine, order: u32) {
    let event = OrderEvent::Placed { order };
    engine.execute(Tell { order, event }).await.unwrap();
}

async fn cancelled(engine: &Engine) -> usize {
    let read = Read::all(Query::names(["order.cancelled"]));
    engine.store().read(read).await.unwrap().events.len()
}

/// What is parked, by position.
async fn parked(running: &ProcessManagers) -> Vec<(u64, &'static str)> {
    let letters = running.dead_letters("shop").await.unwrap().into_iter();
    let letters = letters.map(|letter| {
        let state = match letter.state {
            DeadLetterState::Failed { .. } => "failed",
            DeadLetterState::Blocked => "behind",
            _ => "over",
        };
        (letter.position.get(), state)
    });
    letters.collect()
}

#[tokio::test]
async fn an_instance_without_anything_in_mind_lives() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let clock = VirtualClock::new();
    let running = processes(&engine, &clock).with::<Bare>().start();
    place(&engine, 1).await;
    place(&engine, 2).await;
    idle(&running).await;
    engine.execute(Pay { order: 2 }).await.unwrap();
    idle(&running).await;
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, 1, "of the one that was not paid");
    let left = store.scan_documents(Scan::prefix("process/bare/due/"));
    assert_eq!(left.await.unwrap(), []);
    running.stop().await;
}

#[tokio::test]
async fn what_is_due_for_nobody_is_met_once() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let clock = VirtualClock::new();
    let due = format!("process/shop/due/{:020}/9", 1);
    let stale = Changes::new().put(&due, r#"{"id":"9","deadline":true}"#);
    store.change_documents(stale).await.unwrap();
    let running = processes(&engine, &clock).with::<Shop>().start();
    place(&engine, 1).await;
    idle(&running).await;
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, 1);
    let left = store.scan_documents(Scan::prefix("process/shop/due/"));
    assert_eq!(left.await.unwrap(), []);
    running.stop().await;
}

#[tokio::test]
async fn a_deadline_waits_for_what_was_stored_before_it_was_due() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let clock = VirtualClock::new();
    let running = processes(&engine, &clock).with::<Shop>().start();
    place(&engine, 1).await;
    place(&engine, 2).await;
    idle(&running).await;
    running.stop().await;
    engine.execute(Pay { order: 1 }).await.unwrap();
    clock.advance(DAY * 2);

    let slow = Shut::new(&store);
    slow.shut.send_replace(true);
    let mut looks = slow.looks.subscribe();
    let running = processes(&Engine::new(slow.clone()), &clock)
        .with::<Shop>()
        .start();
    looks.wait_for(|looks| *looks > 4).await.unwrap();
    assert_eq!(cancelled(&engine).await, 0, "what was paid is not known");
    slow.shut.send_replace(false);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, 1, "of the other");
    running.stop().await;
}

/// Whether an order is paid, although its first event was parked.
async fn is_paid_behind(order: u32, first: &[(u64, &str)]) {
    let engine = Engine::new(MemoryStore::new());
    let clock = VirtualClock::new();
    let running = processes(&engine, &clock).with::<Shop>().start();
    JAMMED.store(true, SeqCst);
    place(&engine, order).await;
    let event = OrderEvent::Packed { order };
    engine.execute(Tell { order, event }).await.unwrap();
    let pay = engine.execute(Pay { order });
    let paid = pay.await.unwrap().position();
    // It goes its way meanwhile.
    place(&engine, 1).await;
    running.wait_for(Position::new(4)).await.unwrap();
    assert_eq!(parked(&running).await, first);
    assert_eq!(first.last(), Some(&(paid.get(), "behind")));
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, 1, "the other order");

    running.retry("shop").await.unwrap();
    while parked(&running).await != first {
        tokio::task::yield_now().await;
    }
    JAMMED.store(false, SeqCst);
    running.retry("shop").await.unwrap();
    while !parked(&running).await.is_empty() {
        tokio::task::yield_now().await;
    }
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, 1, "not the one that was paid");
    running.stop().await;
}

/// One after the other, since they jam together.
#[tokio::test]
async fn the_events_of_an_instance_wait_for_those_that_are_parked_whatever_their_streams() {
    let first = [(1, "failed"), (2, "behind"), (3, "behind")];
    is_paid_behind(STRANGE, &first).await;
    is_paid_behind(300, &first).await;
    is_paid_behind(200, &[(2, "failed"), (3, "behind")]).await;
}
