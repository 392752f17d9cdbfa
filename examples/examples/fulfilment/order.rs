//! Orders, which are placed, and then shipped or cancelled.

use factum::event::UpcastError;
use factum::prelude::*;
use serde_json::Value;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
pub(crate) enum OrderEvent {
    /// The order was placed. Schema version 1 had the price in euros, and no address.
    #[event(version = 2, upcast = with_cents_and_address)]
    Placed {
        order: u32,
        customer: String,
        article: String,
        quantity: u32,
        cents: u64,
        /// The time that the customer has to pay, in seconds.
        seconds_to_pay: u64,
        /// The delivery address, which is personal data of the customer.
        #[personal(subject = customer)]
        address: String,
    },
    Shipped {
        order: u32,
        parcel: String,
    },
    Cancelled {
        order: u32,
        reason: String,
    },
}

fn with_cents_and_address(mut old: Value) -> Result<Value, UpcastError> {
    let euros = old["euros"].as_f64().ok_or("no price in euros")?;
    old["cents"] = ((euros * 100.0).round() as u64).into();
    old["address"] = "unknown".into();
    Ok(old)
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "order", id = u32, event = OrderEvent)]
pub(crate) struct Order {
    placed: bool,
    ended: bool,
}

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed { .. } => self.placed = true,
            OrderEvent::Shipped { .. } | OrderEvent::Cancelled { .. } => self.ended = true,
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("the order already exists")]
    Exists,
    #[error("the order does not exist")]
    Unknown,
    #[error("the order is already shipped or cancelled")]
    Ended,
}

impl Order {
    fn is_open(&self) -> Result<(), OrderError> {
        match self {
            Self { placed: false, .. } => Err(OrderError::Unknown),
            Self { ended: true, .. } => Err(OrderError::Ended),
            _ => Ok(()),
        }
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Order)]
pub(crate) struct Place {
    #[id]
    pub order: u32,
    pub customer: String,
    pub article: String,
    pub quantity: u32,
    pub cents: u64,
    pub seconds_to_pay: u64,
    pub address: String,
}

impl Decide for Place {
    type Error = OrderError;

    fn decide(&self, order: &Order) -> Result<Events<OrderEvent>, OrderError> {
        if order.placed {
            return Err(OrderError::Exists);
        }
        Ok(OrderEvent::Placed {
            order: self.order,
            customer: self.customer.clone(),
            article: self.article.clone(),
            quantity: self.quantity,
            cents: self.cents,
            seconds_to_pay: self.seconds_to_pay,
            address: self.address.clone(),
        }
        .into())
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Order)]
pub(crate) struct MarkShipped {
    #[id]
    pub order: u32,
    pub parcel: String,
}

impl Decide for MarkShipped {
    type Error = OrderError;

    fn decide(&self, order: &Order) -> Result<Events<OrderEvent>, OrderError> {
        order.is_open()?;
        let (order, parcel) = (self.order, self.parcel.clone());
        Ok(OrderEvent::Shipped { order, parcel }.into())
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Order)]
pub(crate) struct Cancel {
    #[id]
    pub order: u32,
    pub reason: String,
}

impl Decide for Cancel {
    type Error = OrderError;

    fn decide(&self, order: &Order) -> Result<Events<OrderEvent>, OrderError> {
        order.is_open()?;
        let (order, reason) = (self.order, self.reason.clone());
        Ok(OrderEvent::Cancelled { order, reason }.into())
    }
}
