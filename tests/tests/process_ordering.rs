//! Ordering in process managers.
//!
//! Deadlines wait for events that were stored before they were due, and the events of an instance wait for
//! its dead letters.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "process_support/gated_store.rs"]
mod gated_store;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::DeadLetterState;
use factum::runtime::RuntimeBuilder;
use factum::store::{DocumentChanges, DocumentStore as _, Scan};
use factum::store::{Query, Read};
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;
use gated_store::GatedStore;

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

/// The first of 100 orders whose events cannot be correlated while [`JAMMED`] is set.
const UNCORRELATED: u32 = 100;
/// The first of 100 orders whose `Packed` event cannot be applied.
const PACKED_FAILS: u32 = 200;
/// The first of 100 orders whose `Placed` event cannot be applied.
const PLACED_FAILS: u32 = 300;
/// Set while these orders fail.
static JAMMED: AtomicBool = AtomicBool::new(true);

/// Panics if the order is one of the 100 from `from` on, while [`JAMMED`] is set.
fn fail_if_jammed(order: u32, from: u32) {
    let jammed = JAMMED.load(SeqCst) && (from..from + 100).contains(&order);
    assert!(!jammed, "jammed");
}

/// Cancels an order unless it is paid within one day.
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
                fail_if_jammed(*order, PLACED_FAILS);
                self.order = *order;
            }
            OrderEvent::Packed { order } => fail_if_jammed(*order, PACKED_FAILS),
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
                fail_if_jammed(order, UNCORRELATED);
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

/// The same process manager with a state that has no fields.
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

fn processes(engine: &Engine, clock: &VirtualClock) -> RuntimeBuilder {
    let retry = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    Runtime::builder(engine)
        .clock(clock.clone())
        .retry(retry)
        .lease(Duration::from_millis(60))
}

async fn idle(running: &Runtime) {
    let idle = tokio::time::timeout(Duration::from_secs(20), running.wait_until_idle());
    idle.await
        .expect("the process managers did not become idle")
        .unwrap();
}

async fn place(engine: &Engine, order: u32) {
    let event = OrderEvent::Placed { order };
    engine.execute(Emit { order, event }).await.unwrap();
}

/// Returns the number of cancelled orders.
async fn cancelled(engine: &Engine) -> usize {
    let read = Read::all(Query::event_types(["order.cancelled"]));
    engine.store().read(read).await.unwrap().events.len()
}

/// Retries the dead letters and the failed deliveries.
async fn retry(running: &Runtime) {
    let shop = running.process::<Shop>().unwrap();
    shop.retry_all().await.unwrap();
    shop.deliveries().retry_deliveries().await.unwrap();
}

/// Returns the position and the state of each dead letter.
async fn dead_letters(running: &Runtime) -> Vec<(u64, &'static str)> {
    let entries = running.process::<Shop>().unwrap().dead_letters().await;
    let entries = entries.unwrap().into_iter();
    let entries = entries.map(|entry| {
        let state = match entry.state {
            DeadLetterState::Failed { .. } => "failed",
            DeadLetterState::Blocked => "blocked",
            _ => "settled",
        };
        (entry.position.get(), state)
    });
    entries.collect()
}

#[tokio::test]
async fn instance_with_empty_state_is_kept() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let clock = VirtualClock::new();
    let running = processes(&engine, &clock)
        .process::<Bare>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    place(&engine, 1).await;
    place(&engine, 2).await;
    idle(&running).await;
    engine.execute(Pay { order: 2 }).await.unwrap();
    idle(&running).await;
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(
        cancelled(&engine).await,
        1,
        "only the unpaid order is cancelled"
    );
    let due = store.scan_documents(Scan::prefix("process/bare/due/"));
    assert_eq!(due.await.unwrap(), []);
    running.stop().await;
}

#[tokio::test]
async fn stale_due_entry_is_removed() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let clock = VirtualClock::new();
    let due = format!("process/shop/due/{:020}/9", 1);
    let stale = DocumentChanges::new().put(&due, r#"{"id":"9","is_deadline":true}"#);
    store.change_documents(stale).await.unwrap();
    let running = processes(&engine, &clock)
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    place(&engine, 1).await;
    idle(&running).await;
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, 1);
    let due = store.scan_documents(Scan::prefix("process/shop/due/"));
    assert_eq!(due.await.unwrap(), []);
    running.stop().await;
}

#[tokio::test]
async fn deadline_waits_for_events_stored_before_it() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let clock = VirtualClock::new();
    let running = processes(&engine, &clock)
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    place(&engine, 1).await;
    place(&engine, 2).await;
    idle(&running).await;
    running.stop().await;
    engine.execute(Pay { order: 1 }).await.unwrap();
    clock.advance(DAY * 2);

    let gated = GatedStore::new(&store);
    gated.closed.send_replace(true);
    let mut scans = gated.scans.subscribe();
    let running = processes(&Engine::new(gated.clone()), &clock)
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    scans.wait_for(|scans| *scans > 4).await.unwrap();
    assert_eq!(cancelled(&engine).await, 0, "the payment is not yet read");
    gated.closed.send_replace(false);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, 1, "the unpaid order");
    running.stop().await;
}

/// Asserts that a payment blocked by dead letters reaches its instance after a retry.
async fn assert_paid_after_retry(order: u32, expected: &[(u64, &str)]) {
    let engine = Engine::new(MemoryStore::new());
    let clock = VirtualClock::new();
    let running = processes(&engine, &clock)
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    JAMMED.store(true, SeqCst);
    place(&engine, order).await;
    let event = OrderEvent::Packed { order };
    engine.execute(Emit { order, event }).await.unwrap();
    let pay = engine.execute(Pay { order });
    let paid = pay.await.unwrap().position();
    // Another instance is not blocked.
    place(&engine, 1).await;
    running.wait_for(Position::new(4)).await.unwrap();
    assert_eq!(dead_letters(&running).await, expected);
    assert_eq!(expected.last(), Some(&(paid.get(), "blocked")));
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(cancelled(&engine).await, 1, "the other order");

    retry(&running).await;
    while dead_letters(&running).await != expected {
        tokio::task::yield_now().await;
    }
    JAMMED.store(false, SeqCst);
    retry(&running).await;
    while !dead_letters(&running).await.is_empty() {
        tokio::task::yield_now().await;
    }
    clock.advance(DAY);
    idle(&running).await;
    assert_eq!(
        cancelled(&engine).await,
        1,
        "the paid order is not cancelled"
    );
    running.stop().await;
}

/// The cases run one after the other because they share [`JAMMED`].
#[tokio::test]
async fn instance_events_wait_for_dead_letters_across_streams() {
    let expected = [(1, "failed"), (2, "blocked"), (3, "blocked")];
    assert_paid_after_retry(UNCORRELATED, &expected).await;
    assert_paid_after_retry(PLACED_FAILS, &expected).await;
    assert_paid_after_retry(PACKED_FAILS, &[(2, "failed"), (3, "blocked")]).await;
}
