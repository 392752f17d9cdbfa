//! Orders that reserve stock and are paid in time or cancelled.
//!
//! A test can count every effect of the process manager, of the deadlines, and of the event handler.

use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::Duration;

use factum::Timestamp;
use factum::prelude::*;
use factum::process::{Correlation, Deadline, Reactions, Rejection};

/// The time after which an unpaid order is cancelled.
pub const PAYMENT_TIMEOUT: Duration = Duration::from_millis(400);
/// The time after which the buyer of an unpaid order is reminded.
pub const REMINDER_DELAY: Duration = Duration::from_millis(250);
/// The number of pieces of each article.
pub const STOCK: u64 = 8;

/// A hook that gets the name of each command that a process manager or a deadline executes.
pub static ON_DECIDE: OnceLock<fn(&str)> = OnceLock::new();

fn report_decision<C: Decide>(_: &C) {
    if let Some(on_decide) = ON_DECIDE.get() {
        on_decide(C::NAME);
    }
}

/// An event of an order.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
pub enum OrderEvent {
    /// The order was placed.
    Placed {
        /// The number of the order.
        order: u64,
        /// The ordered article.
        article: u64,
        /// The time of the reminder.
        reminder: Timestamp,
    },
    /// The order was paid.
    Paid {
        /// The number of the order.
        order: u64,
    },
    /// The order was cancelled.
    Cancelled {
        /// The number of the order.
        order: u64,
        /// The reason.
        reason: String,
    },
}

/// An event of an article.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "stock")]
pub enum StockEvent {
    /// One piece was reserved.
    Reserved {
        /// The order that the piece is for.
        order: u64,
    },
    /// Reservations are no longer possible.
    Closed,
    /// Reservations are possible again.
    Opened,
}

/// An event of a clerk.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "reminder")]
pub enum ReminderEvent {
    /// A buyer was reminded of an unpaid order.
    Reminded {
        /// The number of the order.
        order: u64,
    },
}

/// An order.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u64, event = OrderEvent)]
pub struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

/// The stock of an article.
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

/// One of a few clerks who remind buyers.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "reminder", id = u64, event = ReminderEvent)]
pub struct Clerk;

impl Apply<ReminderEvent> for Clerk {
    fn apply(&mut self, _: &ReminderEvent) {}
}

/// Places an order and sets the deadline of its reminder.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Place {
    /// The number of the order.
    #[id]
    pub order: u64,
    /// The ordered article.
    pub article: u64,
    /// The time of the reminder.
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

/// Pays an order and cancels the deadline of its reminder.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Pay {
    /// The number of the order.
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

/// Records an event of an article.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Stock)]
pub struct RecordStockEvent {
    /// The number of the article.
    #[id]
    pub article: u64,
    /// The event to record.
    pub event: StockEvent,
}

impl Decide for RecordStockEvent {
    type Error = Infallible;

    fn decide(&self, _: &Stock) -> Result<Events<StockEvent>, Infallible> {
        Ok(self.event.clone().into())
    }
}

/// Cancels an order. Each execution stores an event, so repeated executions are visible.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Cancel {
    /// The number of the order.
    #[id]
    order: u64,
    reason: String,
}

impl Decide for Cancel {
    type Error = Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Infallible> {
        report_decision(self);
        let (order, reason) = (self.order, self.reason.clone());
        Ok(OrderEvent::Cancelled { order, reason }.into())
    }
}

/// Reserves a piece while there is stock. Each execution stores an event.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Stock)]
pub struct Reserve {
    #[id]
    article: u64,
    order: u64,
}

/// The rejection of a reservation without stock.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("sold out")]
pub struct SoldOut;

impl Decide for Reserve {
    type Error = SoldOut;

    fn decide(&self, stock: &Stock) -> Result<Events<StockEvent>, SoldOut> {
        report_decision(self);
        if stock.closed || stock.reserved >= STOCK {
            return Err(SoldOut);
        }
        let order = self.order;
        Ok(StockEvent::Reserved { order }.into())
    }
}

/// Reminds a buyer. Each execution stores an event.
///
/// The stream belongs to the clerk, so the version of the order does not detect duplicates.
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
        report_decision(self);
        let order = self.order;
        Ok(ReminderEvent::Reminded { order }.into())
    }
}

/// A process manager that reserves stock, and cancels orders without stock or payment.
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

/// An event handler that reports the position of each order event.
pub struct Mailer(pub fn(u64));

impl factum::runtime::EventHandler<OrderEvent> for Mailer {
    async fn handle(
        &self,
        event: &Recorded<OrderEvent>,
    ) -> Result<(), factum::runtime::HandlerError> {
        (self.0)(event.record.position.get());
        Ok(())
    }
}
