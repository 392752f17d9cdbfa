//! The example domain of several cases: orders that reserve stock and are paid in time or cancelled.

use std::collections::BTreeMap;
use std::time::Duration;

use super::harness::all_events;
use factum::prelude::*;
use factum_core::store::Store;
use factum_engine::process::{Correlation, Deadline, Reactions, Rejection};

pub const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "shop_order")]
pub enum OrderEvent {
    Placed { order: u64, article: u64 },
    Paid { order: u64 },
    Cancelled { order: u64, reason: String },
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "shop_stock")]
pub enum StockEvent {
    Reserved { order: u64 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "shop_order", id = u64, event = OrderEvent)]
pub struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "shop_stock", id = u64, event = StockEvent)]
pub struct Stock {
    reserved: u64,
}

impl Apply<StockEvent> for Stock {
    fn apply(&mut self, _: &StockEvent) {
        self.reserved += 1;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Place {
    #[id]
    pub order: u64,
    pub article: u64,
}

impl Decide for Place {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        let Self { order, article } = *self;
        Ok(OrderEvent::Placed { order, article }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Pay {
    #[id]
    pub order: u64,
}

impl Decide for Pay {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(OrderEvent::Paid { order: self.order }.into())
    }
}

/// Cancels an order, without a check for repeated executions.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Cancel {
    #[id]
    pub order: u64,
    pub reason: String,
}

impl Decide for Cancel {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        let (order, reason) = (self.order, self.reason.clone());
        Ok(OrderEvent::Cancelled { order, reason }.into())
    }
}

/// The number of pieces of each article.
pub const STOCK: u64 = 3;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("sold out")]
pub struct SoldOut;

/// Reserves a piece of an article while there is stock, without a check for repeated executions.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Stock)]
pub struct Reserve {
    #[id]
    pub article: u64,
    pub order: u64,
}

impl Decide for Reserve {
    type Error = SoldOut;

    fn decide(&self, stock: &Stock) -> Result<Events<StockEvent>, SoldOut> {
        if stock.reserved >= STOCK {
            return Err(SoldOut);
        }
        Ok(StockEvent::Reserved { order: self.order }.into())
    }
}

/// Reserves stock for an order; cancels the order if it is sold out or not paid within thirty days.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(
    name = "shop",
    id = u64,
    events = (OrderEvent, StockEvent),
    commands = (Reserve, Cancel),
)]
pub struct Shop {
    order: u64,
}

impl Apply<OrderEvent> for Shop {
    fn apply(&mut self, event: &OrderEvent) {
        if let OrderEvent::Placed { order, .. } = event {
            self.order = *order;
        }
    }
}

impl Apply<StockEvent> for Shop {
    fn apply(&mut self, _: &StockEvent) {}
}

impl React<OrderEvent> for Shop {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u64> {
        match event.event {
            OrderEvent::Placed { order, .. } => Correlation::Starts(order),
            OrderEvent::Paid { order } | OrderEvent::Cancelled { order, .. } => {
                Correlation::Continues(order)
            }
        }
    }

    fn react(&self, event: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        match event.event {
            OrderEvent::Placed { order, article } => then
                .deadline("payment", DAY * 30)
                .send(Reserve { article, order }),
            OrderEvent::Paid { .. } | OrderEvent::Cancelled { .. } => then.complete(),
        };
    }
}

impl React<StockEvent> for Shop {
    fn correlate(event: &Recorded<StockEvent>) -> Correlation<u64> {
        let StockEvent::Reserved { order } = event.event;
        Correlation::Continues(order)
    }

    fn react(&self, _: &Recorded<StockEvent>, _: &mut Reactions<Self>) {}
}

impl Shop {
    fn cancel(&self, reason: &str, then: &mut Reactions<Self>) {
        let (order, reason) = (self.order, reason.to_owned());
        then.send(Cancel { order, reason });
    }
}

impl Respond for Shop {
    fn rejected(&mut self, rejection: &Rejection, then: &mut Reactions<Self>) {
        self.cancel(&rejection.error, then);
    }

    fn deadline(&mut self, deadline: &Deadline, then: &mut Reactions<Self>) {
        self.cancel(&deadline.name, then);
    }
}

/// Returns the history of each order, in stored order and without the first event.
pub async fn orders(store: &impl Store) -> BTreeMap<u64, Vec<String>> {
    let mut orders: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for record in all_events(store, 100).await {
        let (order, entry) = if record.name.starts_with("shop_stock.") {
            let event = record.decode();
            let StockEvent::Reserved { order } = event.expect("the event of a stock should decode");
            (order, "reserved".to_owned())
        } else {
            let event = record.decode();
            match event.expect("the event of an order should decode") {
                OrderEvent::Placed { .. } => continue,
                OrderEvent::Paid { order } => (order, "paid".to_owned()),
                OrderEvent::Cancelled { order, reason } => (order, format!("cancelled: {reason}")),
            }
        };
        orders.entry(order).or_default().push(entry);
    }
    orders
}
