//! One aggregate from its events to its history: `cargo run --example basic_workflow`.
//!
//! An order is placed, paid and shipped. This file contains the whole domain.

use factum::engine::LoadError;
use factum::prelude::*;
use factum_examples::outln;
use factum_memory::MemoryStore;

// The events. Their event types are `order.placed`, `order.paid` and `order.shipped`.

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed { item: String, price: u64 },
    Paid { amount: u64 },
    Shipped { parcel: String },
}

// The state of an order, which is folded from its events.

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u32, event = OrderEvent)]
struct Order {
    item: Option<String>,
    due: u64,
    shipped: bool,
}

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed { item, price } => {
                self.item = Some(item.clone());
                self.due = *price;
            }
            OrderEvent::Paid { amount } => self.due -= amount,
            OrderEvent::Shipped { .. } => self.shipped = true,
        }
    }
}

// The commands and their rejections.

#[derive(Debug, PartialEq, thiserror::Error)]
enum OrderError {
    #[error("the order is already placed")]
    AlreadyPlaced,
    #[error("the order does not exist")]
    NotPlaced,
    #[error("the payment exceeds the amount due: {due}")]
    TooMuch { due: u64 },
    #[error("the order has an unpaid amount: {due}")]
    NotPaid { due: u64 },
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Place {
    #[id]
    order: u32,
    item: String,
    price: u64,
}

impl Decide for Place {
    type Error = OrderError;

    fn decide(&self, order: &Order) -> Result<Events<OrderEvent>, OrderError> {
        if order.item.is_some() {
            return Err(OrderError::AlreadyPlaced);
        }
        let (item, price) = (self.item.clone(), self.price);
        Ok(OrderEvent::Placed { item, price }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Pay {
    #[id]
    order: u32,
    amount: u64,
}

impl Decide for Pay {
    type Error = OrderError;

    fn decide(&self, order: &Order) -> Result<Events<OrderEvent>, OrderError> {
        let amount = self.amount;
        match order {
            Order { item: None, .. } => Err(OrderError::NotPlaced),
            Order { due, .. } if amount > *due => Err(OrderError::TooMuch { due: *due }),
            _ => Ok(OrderEvent::Paid { amount }.into()),
        }
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Ship {
    #[id]
    order: u32,
    parcel: String,
}

impl Decide for Ship {
    type Error = OrderError;

    fn decide(&self, order: &Order) -> Result<Events<OrderEvent>, OrderError> {
        match order {
            Order { item: None, .. } => Err(OrderError::NotPlaced),
            // The order is already shipped. An empty decision is a success, not a rejection.
            Order { shipped: true, .. } => Ok(Events::none()),
            Order { due: 0, .. } => {
                let parcel = self.parcel.clone();
                Ok(OrderEvent::Shipped { parcel }.into())
            }
            Order { due, .. } => Err(OrderError::NotPaid { due: *due }),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let engine = Engine::new(MemoryStore::new());
    let order = 1001;

    outln!("Ada places an order and pays a part of it.");
    let place = Place {
        order,
        item: "a lamp".to_owned(),
        price: 80,
    };
    engine.execute(place).by("ada").await?;
    let pay = Pay { order, amount: 50 };
    let receipt = engine.execute(pay).by("ada").because("on account").await?;
    outln!("  the order is at version {}\n", receipt.version());

    outln!("The warehouse ships too early.");
    let ship = Ship {
        order,
        parcel: "P-7".to_owned(),
    };
    match engine.execute(ship.clone()).by("warehouse").await {
        Err(ExecuteError::Rejected(rejection)) => outln!("  rejected: {rejection}\n"),
        other => anyhow::bail!("unexpected result for an unpaid order: {other:?}"),
    }

    outln!("Ada pays the rest. The warehouse ships the order, and repeats the request.");
    engine.execute(Pay { order, amount: 30 }).by("ada").await?;
    let first = engine.execute(ship.clone()).by("warehouse").await?;
    let second = engine.execute(ship).by("warehouse").await?;
    let (first, second) = (first.events().len(), second.events().len());
    outln!("  events of the first request: {first}, of the second: {second}\n");

    print_history(&engine, order).await?;
    print_past_states(&engine, order).await
}

async fn print_history(engine: &Engine, order: u32) -> anyhow::Result<()> {
    outln!("The history:");
    for event in engine.history::<Order>(&order).await? {
        let (version, metadata) = (event.record.version, &event.record.metadata);
        let by = metadata.actor.as_deref().unwrap_or("nobody");
        let why = metadata.reason.as_deref().unwrap_or("no reason given");
        outln!("  {version}. {:?}, by {by} ({why})", event.event);
    }
    Ok(())
}

async fn print_past_states(engine: &Engine, order: u32) -> anyhow::Result<()> {
    outln!("\nThe order at each version:");
    for version in 1..=5 {
        match engine.load::<Order>(&order).at_version(version).await {
            Ok(past) => outln!(
                "  version {version}: {} due, shipped: {}",
                past.due,
                past.shipped
            ),
            Err(error @ LoadError::NoSuchVersion { .. }) => outln!("  {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
