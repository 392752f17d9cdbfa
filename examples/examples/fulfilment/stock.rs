//! The stock of the warehouse, and its reservations.

use std::collections::BTreeMap;

use factum::prelude::*;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "stock")]
pub(crate) enum StockEvent {
    Delivered {
        article: String,
        quantity: u32,
    },
    Reserved {
        article: String,
        order: u32,
        quantity: u32,
    },
    Released {
        article: String,
        order: u32,
        quantity: u32,
    },
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "stock", id = String, event = StockEvent)]
pub(crate) struct Stock {
    /// The quantity that is available for new reservations.
    pub free: u32,
    /// The reserved quantity by order.
    pub reserved: BTreeMap<u32, u32>,
}

impl Apply<StockEvent> for Stock {
    fn apply(&mut self, event: &StockEvent) {
        match event {
            StockEvent::Delivered { quantity, .. } => self.free += quantity,
            StockEvent::Reserved {
                order, quantity, ..
            } => {
                self.free -= quantity;
                self.reserved.insert(*order, *quantity);
            }
            StockEvent::Released {
                order, quantity, ..
            } => {
                self.free += quantity;
                self.reserved.remove(order);
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("only {free} × {article} available")]
pub(crate) struct OutOfStock {
    article: String,
    free: u32,
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Stock)]
pub(crate) struct Deliver {
    #[id]
    pub article: String,
    pub quantity: u32,
}

impl Decide for Deliver {
    type Error = OutOfStock;

    fn decide(&self, _: &Stock) -> Result<Events<StockEvent>, OutOfStock> {
        let (article, quantity) = (self.article.clone(), self.quantity);
        Ok(StockEvent::Delivered { article, quantity }.into())
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Stock)]
pub(crate) struct Reserve {
    #[id]
    pub article: String,
    pub order: u32,
    pub quantity: u32,
}

impl Decide for Reserve {
    type Error = OutOfStock;

    fn decide(&self, stock: &Stock) -> Result<Events<StockEvent>, OutOfStock> {
        let article = self.article.clone();
        if stock.free < self.quantity {
            let free = stock.free;
            return Err(OutOfStock { article, free });
        }
        let (order, quantity) = (self.order, self.quantity);
        Ok(StockEvent::Reserved {
            article,
            order,
            quantity,
        }
        .into())
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Stock)]
pub(crate) struct Release {
    #[id]
    pub article: String,
    pub order: u32,
}

impl Decide for Release {
    type Error = OutOfStock;

    fn decide(&self, stock: &Stock) -> Result<Events<StockEvent>, OutOfStock> {
        let Some(&quantity) = stock.reserved.get(&self.order) else {
            return Ok(Events::none());
        };
        let (article, order) = (self.article.clone(), self.order);
        Ok(StockEvent::Released {
            article,
            order,
            quantity,
        }
        .into())
    }
}
