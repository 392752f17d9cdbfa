//! What happens while one instance of a program takes over from another.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum::prelude::*;
use factum::process::{Correlation, Deadline, Reactions, Refusal};
use factum::process_managers::ProcessManagersBuilder;
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, Query, Read,
    RetryPolicy, StoreError,
};
use factum_memory::MemoryStore;
use tokio::sync::watch;

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

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("closed")]
struct IsClosed;

impl Decide for Reserve {
    type Error = IsClosed;
    fn decide(&self, stock: &Stock) -> Result<Events<StockEvent>, IsClosed> {
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

/// An order takes from the stock, or is cancelled.
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
        then.send(Reserve { stock: 1 });
    }
}

impl Respond for Shop {
    fn refused(&mut self, _: &Refusal, then: &mut Reactions<Self>) {
        let order = self.order;
        let event = OrderEvent::Cancelled { order };
        then.send(Note { order, event });
    }

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

/// A store as it is for a program that stands still in the middle of its first append under a key, until it goes on.
#[derive(Clone)]
struct Still {
    store: MemoryStore,
    met: Arc<AtomicBool>,
    still: Arc<watch::Sender<bool>>,
}

impl Still {
    async fn going(&self) {
        let mut still = self.still.subscribe();
        still.wait_for(|still| !still).await.unwrap();
    }
}

#[factum::async_trait]
impl EventStore for Still {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.key.is_some() && !self.met.swap(true, SeqCst) {
            self.still.send_replace(true);
        }
        self.going().await;
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.going().await;
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.going().await;
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

#[factum::async_trait]
impl DocumentStore for Still {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        self.going().await;
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.going().await;
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.going().await;
        self.store.scan_documents(scan).await
    }
}

factum::delegate!(snapshots, [] Still, |this| this.store);

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
async fn what_was_refused_elsewhere_is_not_executed_by_one_who_stood_still() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let tell = async |event| engine.execute(Tell { stock: 1, event }).await.unwrap();
    let still = Still {
        store,
        met: Arc::default(),
        still: Arc::default(),
    };
    let first = processes(&Engine::new(still.clone()))
        .with::<Shop>()
        .start();
    let mut stands = still.still.subscribe();
    place(&engine, 7).await;
    stands.wait_for(|still| *still).await.unwrap();

    tell(StockEvent::Closed).await;
    let second = processes(&engine).with::<Shop>().start();
    idle(&second).await;
    assert_eq!(stored(&engine, "order.cancelled").await, 1, "it is refused");
    tell(StockEvent::Opened).await;
    still.still.send_replace(false);
    first.stop().await;
    idle(&second).await;
    assert_eq!(stored(&engine, "stock.reserved").await, 0);
    assert_eq!(stored(&engine, "order.cancelled").await, 1);
    second.stop().await;
}
