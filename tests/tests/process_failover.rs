//! Failover of process managers and event handlers from one node to another.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/log.rs"]
mod log;
#[path = "process_support/stalled_store.rs"]
mod stalled_store;

use std::sync::LazyLock;
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{ConsumerStatus, EventHandler, HandlerError, RuntimeBuilder};
use factum::store::{Query, Read};
use factum_memory::MemoryStore;
use tokio::sync::watch;
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use log::Log;
use stalled_store::StalledStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed { order: u32 },
    Cancelled { order: u32 },
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "stock")]
enum StockEvent {
    Closed,
    Opened,
    Reserved,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u32, event = OrderEvent)]
struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "stock", id = u32, event = StockEvent)]
struct Stock {
    closed: bool,
}

impl Apply<StockEvent> for Stock {
    fn apply(&mut self, event: &StockEvent) {
        self.closed = *event == StockEvent::Closed;
    }
}

/// Emits an event of a stock.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Stock)]
struct EmitStock {
    #[id]
    stock: u32,
    event: StockEvent,
}

impl Decide for EmitStock {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Stock) -> Result<Events<StockEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Stock)]
struct Reserve {
    #[id]
    stock: u32,
}

/// A stock whose reservations panic.
const JAMMED: u32 = 13;
/// The number of attempts to reserve from [`JAMMED`].
static ATTEMPTS: LazyLock<watch::Sender<u32>> = LazyLock::new(watch::Sender::default);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("closed")]
struct IsClosed;

impl Decide for Reserve {
    type Error = IsClosed;
    fn decide(&self, stock: &Stock) -> Result<Events<StockEvent>, IsClosed> {
        if self.stock == JAMMED {
            ATTEMPTS.send_modify(|attempts| *attempts += 1);
            panic!("the door is jammed");
        }
        match stock.closed {
            true => Err(IsClosed),
            false => Ok(StockEvent::Reserved.into()),
        }
    }
}

/// Emits an event of an order.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct EmitOrder {
    #[id]
    order: u32,
    event: OrderEvent,
}

impl Decide for EmitOrder {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

/// The first order whose instance completes right after its reservation is sent.
const COMPLETES_EARLY: u32 = 1_000;

/// Reserves from the stock with the number of the order, and cancels the order on rejection.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "shop", id = u32, events = OrderEvent, commands = (Reserve, EmitOrder))]
struct Shop {
    order: u32,
}

impl Apply<OrderEvent> for Shop {
    fn apply(&mut self, event: &OrderEvent) {
        if let OrderEvent::Placed { order } = event {
            self.order = *order;
        }
    }
}

impl React<OrderEvent> for Shop {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u32> {
        match event.event {
            OrderEvent::Placed { order } => Correlation::Starts(order),
            OrderEvent::Cancelled { .. } => Correlation::Ignored,
        }
    }

    fn react(&self, _: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        let stock = self.order;
        then.send(Reserve { stock });
        if stock >= COMPLETES_EARLY {
            then.complete();
        }
    }
}

impl Respond for Shop {
    fn rejected(&mut self, _: &Rejection, then: &mut Reactions<Self>) {
        let order = self.order;
        let event = OrderEvent::Cancelled { order };
        then.send(EmitOrder { order, event });
    }

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

fn processes(engine: &Engine) -> RuntimeBuilder {
    let retry = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    Runtime::builder(engine)
        .retry(retry)
        .lease(Duration::from_millis(60))
}

async fn idle(running: &Runtime) {
    let idle = tokio::time::timeout(Duration::from_secs(20), running.wait_until_idle());
    idle.await
        .expect("the process managers did not become idle")
        .unwrap();
}

/// Returns the number of stored events with this name.
async fn stored(engine: &Engine, name: &'static str) -> usize {
    let read = Read::all(Query::event_types([name]));
    engine.store().read(read).await.unwrap().events.len()
}

async fn place(engine: &Engine, order: u32) {
    let event = OrderEvent::Placed { order };
    engine.execute(EmitOrder { order, event }).await.unwrap();
}

#[tokio::test]
async fn stalled_node_does_not_execute_rejected_command() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let emit = async |event| engine.execute(EmitStock { stock: 7, event }).await.unwrap();
    let stalling = StalledStore::new(&store, None);
    let first = processes(&Engine::new(stalling.clone()))
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    let mut stalled = stalling.stalled.subscribe();
    place(&engine, 7).await;
    stalled.wait_for(|stalled| *stalled).await.unwrap();

    emit(StockEvent::Closed).await;
    let second = processes(&engine)
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    idle(&second).await;
    assert_eq!(
        stored(&engine, "order.cancelled").await,
        1,
        "the reservation is rejected"
    );
    emit(StockEvent::Opened).await;
    stalling.stalled.send_replace(false);
    first.stop().await;
    idle(&second).await;
    assert_eq!(stored(&engine, "stock.reserved").await, 0);
    assert_eq!(stored(&engine, "order.cancelled").await, 1);
    second.stop().await;
}

#[tokio::test]
async fn stalled_node_does_not_give_up_taken_over_command() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let stalling = StalledStore::new(&store, Some("/failed/"));
    let first = processes(&Engine::new(stalling.clone()))
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    let mut stalled = stalling.stalled.subscribe();
    place(&engine, JAMMED).await;
    stalled.wait_for(|stalled| *stalled).await.unwrap();
    assert_eq!(*ATTEMPTS.borrow(), 2);

    let patient = RetryPolicy {
        attempts: 1_000,
        base: Duration::from_secs(3_600),
        cap: Duration::from_secs(3_600),
    };
    let second = processes(&engine)
        .retry(patient)
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    let mut attempts = ATTEMPTS.subscribe();
    attempts.wait_for(|attempts| *attempts == 3).await.unwrap();
    stalling.stalled.send_replace(false);
    first.stop().await;
    let shop = second.process::<Shop>().unwrap();
    assert_eq!(shop.deliveries().failed_deliveries().await.unwrap(), []);
    second.stop().await;
}

#[tokio::test]
async fn unhandled_rejection_is_logged_as_warning() {
    let (log, engine) = (Log::default(), Engine::new(MemoryStore::new()));
    let subscriber = log.subscriber(Level::WARN, FmtSpan::NONE);
    let _logs = tracing::subscriber::set_default(subscriber);
    let (stock, event) = (COMPLETES_EARLY, StockEvent::Closed);
    engine.execute(EmitStock { stock, event }).await.unwrap();
    let running = processes(&engine)
        .process::<Shop>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    place(&engine, COMPLETES_EARLY).await;
    idle(&running).await;
    let log = log.text();
    for part in [
        r#"instance="1000""#,
        r#"command="Reserve""#,
        r#"error="closed""#,
    ] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    running.stop().await;
}

/// The order events of newer code.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum NewOrderEvent {
    #[event(version = 2, upcast = unchanged)]
    Placed {
        order: u32,
    },
    Cancelled {
        order: u32,
    },
}

fn unchanged(old: serde_json::Value) -> Result<serde_json::Value, factum::event::UpcastError> {
    Ok(old)
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u32, event = NewOrderEvent)]
struct NewOrder;

impl Apply<NewOrderEvent> for NewOrder {
    fn apply(&mut self, _: &NewOrderEvent) {}
}

/// Emits an order event of newer code.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = NewOrder)]
struct EmitNewOrder {
    #[id]
    order: u32,
    event: NewOrderEvent,
}

impl Decide for EmitNewOrder {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &NewOrder) -> Result<Events<NewOrderEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

/// Sends the positions of the events that it handles.
struct SendPositions(tokio::sync::mpsc::UnboundedSender<u64>);

impl<E: Event> EventHandler<E> for SendPositions {
    async fn handle(&self, event: &Recorded<E>) -> Result<(), HandlerError> {
        Ok(self.0.send(event.record.position.get())?)
    }
}

#[tokio::test]
async fn newer_events_are_left_to_newer_code() {
    let engine = Engine::new(MemoryStore::new());
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    let mails = SendPositions(sender.clone());
    let old = processes(&engine)
        .process::<Shop>(StartFrom::Beginning)
        .handler::<OrderEvent>("mails", mails, StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    place(&engine, 1).await;
    assert_eq!(handled.recv().await, Some(1));
    idle(&old).await;
    let event = NewOrderEvent::Placed { order: 2 };
    let command = engine.execute(EmitNewOrder { order: 2, event });
    let placed = command.await.unwrap().position().get();
    let outdated = |status: &ConsumerStatus| {
        let error = status.last_error.as_ref();
        error.is_some_and(|error| error.contains("update the program"))
    };
    while !old.status().iter().all(outdated) {
        tokio::task::yield_now().await;
    }
    let shop = old.process::<Shop>().unwrap();
    assert_eq!(shop.dead_letters().await.unwrap(), []);
    let mails = old.handler("mails").unwrap();
    assert_eq!(mails.dead_letters().await.unwrap(), []);

    let new = processes(&engine)
        .handler::<NewOrderEvent>("mails", SendPositions(sender), StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    assert_eq!(handled.recv().await, Some(placed));
    let mails = new.handler("mails").unwrap();
    assert_eq!(mails.dead_letters().await.unwrap(), []);
    old.stop().await;
    new.stop().await;
}
