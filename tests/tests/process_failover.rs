//! What happens while one instance of a program takes over from another.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/log.rs"]
mod log;
#[path = "process_support/still.rs"]
mod still;

use std::sync::LazyLock;
use std::time::Duration;

use factum::prelude::*;
use factum::process_managers::{
    EventHandler, HandlerError, HandlerOptions, ProcessManagersBuilder,
};
use factum::{Query, Read, RetryPolicy};
use factum_memory::MemoryStore;
use tokio::sync::watch;
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use log::Log;
use still::Still;

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

/// Says what has happened to the stock.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Stock)]
struct Tell {
    #[id]
    stock: u32,
    event: StockEvent,
}

impl Decide for Tell {
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

/// A stock from which nothing can be taken, and how often that was tried.
const JAMMED: u32 = 13;
static TRIES: LazyLock<watch::Sender<u32>> = LazyLock::new(watch::Sender::default);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("closed")]
struct IsClosed;

impl Decide for Reserve {
    type Error = IsClosed;
    fn decide(&self, stock: &Stock) -> Result<Events<StockEvent>, IsClosed> {
        if self.stock == JAMMED {
            TRIES.send_modify(|tries| *tries += 1);
            panic!("the door is jammed");
        }
        match stock.closed {
            true => Err(IsClosed),
            false => Ok(StockEvent::Reserved.into()),
        }
    }
}

/// Says what has happened to an order.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Note {
    #[id]
    order: u32,
    event: OrderEvent,
}

impl Decide for Note {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

/// Orders from here on take from the stock, and are not looked after any more.
const FORGOTTEN: u32 = 1_000;

/// An order takes from the stock of its number, or is cancelled.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "shop", id = u32, events = OrderEvent, commands = (Reserve, Note))]
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
        if stock >= FORGOTTEN {
            then.complete();
        }
    }
}

impl Respond for Shop {
    fn rejected(&mut self, _: &Rejection, then: &mut Reactions<Self>) {
        let order = self.order;
        let event = OrderEvent::Cancelled { order };
        then.send(Note { order, event });
    }

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

fn processes(engine: &Engine) -> ProcessManagersBuilder {
    let retry = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    ProcessManagers::builder(engine)
        .retry(retry)
        .lease(Duration::from_millis(60))
}

async fn idle(running: &ProcessManagers) {
    let idle = tokio::time::timeout(Duration::from_secs(20), running.wait_until_idle());
    idle.await.expect("it comes to an end").unwrap();
}

async fn stored(engine: &Engine, name: &'static str) -> usize {
    let read = Read::all(Query::names([name]));
    engine.store().read(read).await.unwrap().events.len()
}

async fn place(engine: &Engine, order: u32) {
    let event = OrderEvent::Placed { order };
    engine.execute(Note { order, event }).await.unwrap();
}

#[tokio::test]
async fn what_was_rejected_elsewhere_is_not_executed_by_one_who_stood_still() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let tell = async |event| engine.execute(Tell { stock: 7, event }).await.unwrap();
    let still = Still::at(&store, None);
    let first = processes(&Engine::new(still.clone()))
        .with::<Shop>()
        .start();
    let mut stands = still.still.subscribe();
    place(&engine, 7).await;
    stands.wait_for(|still| *still).await.unwrap();

    tell(StockEvent::Closed).await;
    let second = processes(&engine).with::<Shop>().start();
    idle(&second).await;
    assert_eq!(
        stored(&engine, "order.cancelled").await,
        1,
        "it is rejected"
    );
    tell(StockEvent::Opened).await;
    still.still.send_replace(false);
    first.stop().await;
    idle(&second).await;
    assert_eq!(stored(&engine, "stock.reserved").await, 0);
    assert_eq!(stored(&engine, "order.cancelled").await, 1);
    second.stop().await;
}

#[tokio::test]
async fn one_who_stood_still_does_not_give_up_what_another_is_at() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let still = Still::at(&store, Some("/dead/"));
    let first = processes(&Engine::new(still.clone()))
        .with::<Shop>()
        .start();
    let mut stands = still.still.subscribe();
    place(&engine, JAMMED).await;
    stands.wait_for(|still| *still).await.unwrap();
    assert_eq!(*TRIES.borrow(), 2);

    let patient = RetryPolicy {
        attempts: 1_000,
        base: Duration::from_secs(3_600),
        cap: Duration::from_secs(3_600),
    };
    let second = processes(&engine).retry(patient).with::<Shop>().start();
    let mut tries = TRIES.subscribe();
    tries.wait_for(|tries| *tries == 3).await.unwrap();
    still.still.send_replace(false);
    first.stop().await;
    assert_eq!(second.failed_deliveries("shop").await.unwrap(), []);
    second.stop().await;
}

#[tokio::test]
async fn a_rejection_that_nobody_responds_to_is_a_warning() {
    let (log, engine) = (Log::default(), Engine::new(MemoryStore::new()));
    let subscriber = log.subscriber(Level::WARN, FmtSpan::NONE);
    let _logs = tracing::subscriber::set_default(subscriber);
    let (stock, event) = (FORGOTTEN, StockEvent::Closed);
    engine.execute(Tell { stock, event }).await.unwrap();
    let running = processes(&engine).with::<Shop>().start();
    place(&engine, FORGOTTEN).await;
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

/// The orders of newer code.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum NewOrderEvent {
    #[event(version = 2, upcast = nothing_is_new)]
    Placed {
        order: u32,
    },
    Cancelled {
        order: u32,
    },
}

fn nothing_is_new(old: serde_json::Value) -> Result<serde_json::Value, factum::UpcastError> {
    Ok(old)
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u32, event = NewOrderEvent)]
struct NewOrder;

impl Apply<NewOrderEvent> for NewOrder {
    fn apply(&mut self, _: &NewOrderEvent) {}
}

/// Says what has happened to an order.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = NewOrder)]
struct NewNote {
    #[id]
    order: u32,
    event: NewOrderEvent,
}

impl Decide for NewNote {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &NewOrder) -> Result<Events<NewOrderEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

/// Tells the positions that it is given.
struct Tells(tokio::sync::mpsc::UnboundedSender<u64>);

#[factum::async_trait]
impl<E: Event> EventHandler<E> for Tells {
    async fn handle(&self, event: &Recorded<E>) -> Result<(), HandlerError> {
        Ok(self.0.send(event.record.position.get())?)
    }
}

#[tokio::test]
async fn what_newer_code_has_stored_is_left_to_it() {
    let engine = Engine::new(MemoryStore::new());
    let (tells, mut told) = tokio::sync::mpsc::unbounded_channel();
    let from_first = HandlerOptions::default().from_beginning();
    let old = processes(&engine)
        .with::<Shop>()
        .handler_with::<OrderEvent>("mails", Tells(tells.clone()), from_first)
        .start();
    place(&engine, 1).await;
    assert_eq!(told.recv().await, Some(1));
    idle(&old).await;
    let event = NewOrderEvent::Placed { order: 2 };
    let note = engine.execute(NewNote { order: 2, event });
    let placed = note.await.unwrap().position().get();
    let outdated = |status: &factum::ProcessStatus| {
        let error = status.events.last_error.as_ref();
        error.is_some_and(|error| error.contains("update the program"))
    };
    while !old.status().iter().all(outdated) {
        tokio::task::yield_now().await;
    }
    for name in ["shop", "mails"] {
        assert_eq!(old.dead_letters(name).await.unwrap(), [], "of {name}");
    }

    let new = processes(&engine)
        .handler_with::<NewOrderEvent>("mails", Tells(tells), from_first)
        .start();
    assert_eq!(told.recv().await, Some(placed));
    assert_eq!(new.dead_letters("mails").await.unwrap(), []);
    old.stop().await;
    new.stop().await;
}
