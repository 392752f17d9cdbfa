//! Orders that take from a stock and are paid in time or cancelled, so that it can be counted afterwards what a process
//! manager, the deadlines of decisions and a handler have done.

use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::Duration;

use factum::prelude::*;
use factum::process::{Correlation, Deadline, Reactions, Rejection};
use factum::{Timestamp, async_trait};

/// How long an order may stay unpaid.
pub const PAYMENT_TIMEOUT: Duration = Duration::from_millis(400);
/// When its buyer is reminded.
pub const REMINDER_DELAY: Duration = Duration::from_millis(250);
/// How many of an article there are.
pub const STOCK: u64 = 8;

/// Hears the name of each command that is decided on behalf of a process manager or a deadline.
pub static ON_DECIDE: OnceLock<fn(&str)> = OnceLock::new();

fn decides<C: Decide>(_: &C) {
    if let Some(hears) = ON_DECIDE.get() {
        hears(C::NAME);
    }
}

/// What happens to an order.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
pub enum OrderEvent {
    /// Somebody wants an article.
    Placed {
        /// Which order.
        order: u64,
        /// Of what.
        article: u64,
        /// When its buyer is reminded.
        reminder: Timestamp,
    },
    /// It is paid.
    Paid {
        /// Which order.
        order: u64,
    },
    /// Nothing comes of it.
    Cancelled {
        /// Which order.
        order: u64,
        /// Why.
        reason: String,
    },
}

/// What happens to an article.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "stock")]
pub enum StockEvent {
    /// One is kept.
    Reserved {
        /// For whom.
        order: u64,
    },
    /// Nothing can be had.
    Closed,
    /// All can be had again.
    Opened,
}

/// What a buyer is told.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "reminder")]
pub enum ReminderEvent {
    /// That it is not paid.
    Reminded {
        /// Which order.
        order: u64,
    },
}

/// One order.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u64, event = OrderEvent)]
pub struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

/// One article.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "stock", id = u64, event = StockEvent)]
pub struct Stock {
    reserved: u64,
    closed: bool,
}

impl Apply<StockEvent> for Stock {
    fn apply(&mut self, event: &StockEvent) {
        match event {
            StockEvent::Reserved { .. } => self.reserved += 1,
            StockEvent::Closed | StockEvent::Opened => self.closed = *event == StockEvent::Closed,
        }
    }
}

/// What one of a few clerks has told buyers.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "reminder", id = u64, event = ReminderEvent)]
pub struct Clerk;

impl Apply<ReminderEvent> for Clerk {
    fn apply(&mut self, _: &ReminderEvent) {}
}

/// Places an order, and sets its reminder.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Place {
    /// Which.
    #[id]
    pub order: u64,
    /// Of what.
    pub article: u64,
    /// When its buyer is reminded.
    pub reminder: Timestamp,
}

impl Decide for Place {
    type Error = Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Infallible> {
        let Self {
            order,
            article,
            reminder,
        } = *self;
        let clerk = order % 3;
        let placed = OrderEvent::Placed {
            order,
            article,
            reminder,
        };
        Ok(Events::from(placed).deadline("reminder", reminder, Remind { clerk, order }))
    }
}

/// Pays an order, so that nobody needs to be reminded.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Pay {
    /// Which.
    #[id]
    pub order: u64,
}

impl Decide for Pay {
    type Error = Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Infallible> {
        let order = self.order;
        Ok(Events::from(OrderEvent::Paid { order }).cancel_deadline("reminder"))
    }
}

/// Says what happens to an article.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Stock)]
pub struct RecordStockEvent {
    /// Which.
    #[id]
    pub article: u64,
    /// What.
    pub event: StockEvent,
}

impl Decide for RecordStockEvent {
    type Error = Infallible;

    fn decide(&self, _: &Stock) -> Result<Events<StockEvent>, Infallible> {
        Ok(self.event.clone().into())
    }
}

/// Cancels as often as it is executed, so that each time shows.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Cancel {
    /// Which.
    #[id]
    order: u64,
    reason: String,
}

impl Decide for Cancel {
    type Error = Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Infallible> {
        decides(self);
        let (order, reason) = (self.order, self.reason.clone());
        Ok(OrderEvent::Cancelled { order, reason }.into())
    }
}

/// Reserves as often as it is executed, while there is stock.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Stock)]
pub struct Reserve {
    #[id]
    article: u64,
    order: u64,
}

/// There is no more of it.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("sold out")]
pub struct SoldOut;

impl Decide for Reserve {
    type Error = SoldOut;

    fn decide(&self, stock: &Stock) -> Result<Events<StockEvent>, SoldOut> {
        decides(self);
        if stock.closed || stock.reserved >= STOCK {
            return Err(SoldOut);
        }
        let order = self.order;
        Ok(StockEvent::Reserved { order }.into())
    }
}

/// Reminds as often as it is executed; in a stream that is not the order's, whose version does not help.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Clerk)]
pub struct Remind {
    #[id]
    clerk: u64,
    order: u64,
}

impl Decide for Remind {
    type Error = Infallible;

    fn decide(&self, _: &Clerk) -> Result<Events<ReminderEvent>, Infallible> {
        decides(self);
        let order = self.order;
        Ok(ReminderEvent::Reminded { order }.into())
    }
}

/// An order takes from the stock, or is cancelled; it is paid in time, or cancelled.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "shop", id = u64, events = OrderEvent, commands = (Reserve, Cancel))]
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
            OrderEvent::Placed { order, article, .. } => then
                .deadline("payment", PAYMENT_TIMEOUT)
                .send(Reserve { article, order }),
            OrderEvent::Paid { .. } => then.cancel("payment"),
            OrderEvent::Cancelled { .. } => then.complete(),
        };
    }
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

/// Tells of each event of an order by its position.
pub struct Mailer(pub fn(u64));

#[async_trait]
impl factum::EventHandler<OrderEvent> for Mailer {
    async fn handle(&self, event: &Recorded<OrderEvent>) -> Result<(), factum::HandlerError> {
        (self.0)(event.record.position.get());
        Ok(())
    }
}
