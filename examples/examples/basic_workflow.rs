//! One aggregate from its events to its history: `cargo run --example basic_workflow`.
//!
//! An order is placed, paid and shipped. Everything that a domain consists of stands in this file.

use factum::LoadError;
use factum::prelude::*;
use factum_examples::say;
use factum_memory::MemoryStore;

// What can happen. The stored names are `order.placed`, `order.paid`, …

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed { item: String, price: u64 },
    Paid { amount: u64 },
    Shipped { parcel: String },
}

// The state: what the events have made of an order so far.

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

// What one can ask of an order, and why it may say no.

#[derive(Debug, PartialEq, thiserror::Error)]
enum OrderError {
    #[error("the order is placed already")]
    AlreadyPlaced,
    #[error("there is no such order")]
    NotPlaced,
    #[error("only {due} is due")]
    TooMuch { due: u64 },
    #[error("{due} is not paid yet")]
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
            // Shipping twice changes nothing: to decide nothing is no rejection.
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

    say!("Ada places an order and pays a part of it.");
    let place = Place {
        order,
        item: "a lamp".to_owned(),
        price: 80,
    };
    engine.execute(place).by("ada").await?;
    let pay = Pay { order, amount: 50 };
    let receipt = engine.execute(pay).by("ada").because("on account").await?;
    say!("  the order is at version {}\n", receipt.version());

    say!("The warehouse is early.");
    let ship = Ship {
        order,
        parcel: "P-7".to_owned(),
    };
    match engine.execute(ship.clone()).by("warehouse").await {
        Err(ExecuteError::Rejected(rejection)) => say!("  rejected: {rejection}\n"),
        other => anyhow::bail!("not what an unpaid order should do: {other:?}"),
    }

    say!("Ada pays the rest, the warehouse ships, and asks a second time.");
    engine.execute(Pay { order, amount: 30 }).by("ada").await?;
    let first = engine.execute(ship.clone()).by("warehouse").await?;
    let second = engine.execute(ship).by("warehouse").await?;
    let (first, second) = (first.events().len(), second.events().len());
    say!("  first time: {first} event, second time: {second}\n");

    what_happened(&engine, order).await?;
    as_it_was(&engine, order).await
}

async fn what_happened(engine: &Engine, order: u32) -> anyhow::Result<()> {
    say!("What happened:");
    for event in engine.history::<Order>(&order).await? {
        let (version, metadata) = (event.record.version, &event.record.metadata);
        let by = metadata.actor.as_deref().unwrap_or("nobody");
        let why = metadata.reason.as_deref().unwrap_or("no reason given");
        say!("  {version}. {:?}, by {by} ({why})", event.event);
    }
    Ok(())
}

async fn as_it_was(engine: &Engine, order: u32) -> anyhow::Result<()> {
    say!("\nThe order as it was:");
    for version in 1..=5 {
        match engine.load::<Order>(&order).at_version(version).await {
            Ok(past) => say!(
                "  version {version}: {} due, shipped: {}",
                past.due,
                past.shipped
            ),
            Err(error @ LoadError::NoSuchVersion { .. }) => say!("  {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
