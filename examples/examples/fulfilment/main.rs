//! Order fulfilment on one SQLite file: orders, stock, payments and parcels.
//!
//! A process manager coordinates each order. It compensates a declined payment, and sets a deadline for each payment.
//!
//! ```sh
//! cargo run --example fulfilment              # in a temporary folder
//! cargo run --example fulfilment -- shop.db   # kill it at any time, and start it again
//! ```
//!
//! `shop.keys.db` contains the keys of personal data, and `shop.seen` the last position that the window showed. Delete
//! all three files to start from scratch.

mod board;
mod order;
mod payment;
mod process;
mod shipment;
mod stock;
mod story;
mod window;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use factum::prelude::*;
use factum::privacy::{DocumentKeys, PersonalDataStore};
use factum::store::Metadata;
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, IdempotencyKey, NewEvent, Query, Read,
};
use factum_examples::outln;
use factum_sqlite::SqliteStore;
use order::{OrderEvent, Place};
use payment::{PaymentEvent, Settle};
use process::Fulfilment;
use stock::{Deliver, Stock};
use tokio::sync::watch;
use uuid::Uuid;

/// The lease of a node. The work of a killed node continues after this time.
const LEASE: Duration = Duration::from_millis(150);
/// The master key. A real program reads it from its environment.
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const MONTH: u64 = 30 * 24 * 3_600;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = std::env::args_os().nth(1);
    let file: PathBuf = file.map_or_else(|| folder.path().join("shop.db"), Into::into);
    let store = SqliteStore::open(&file).await?;
    // Addresses are encrypted, with keys in a separate file.
    let keys = SqliteStore::open(file.with_extension("keys.db")).await?;
    let keys = DocumentKeys::open(keys, MASTER_KEY.parse()?).await?;
    let personal = PersonalDataStore::open(store.clone(), keys).await?;
    let engine = Engine::new(personal.clone());

    let printer = print_events(&engine, *store.watch().borrow());
    let window = InMemory::new();
    let runtime = Runtime::builder(&engine)
        .projection(store.read_model(board::Board))
        .projection(window.clone())
        .process::<Fulfilment>(StartFrom::Beginning)
        .lease(LEASE)
        .start()
        .await?;
    let (showing, mut shown) = watch::channel(Position::ZERO);
    let window = tokio::spawn(window::show(window, file.with_extension("seen"), showing));

    stock_up(&engine).await?;
    customers_order(&engine).await?;
    customers_pay(&engine).await?;
    let last = wait_for_all_orders(&engine).await?;
    runtime.wait_until_idle().await?;
    if shown.wait_for(|shown| *shown >= last).await.is_err() {
        return window.await?;
    }

    printer.abort();
    outln!("\nThe board at the end of the day:");
    for line in board::lines(&store).await? {
        outln!("{line}");
    }
    outln!("The warehouse:");
    for article in ["book", "chair", "lamp", "teapot"] {
        let stock = engine.load::<Stock>(&article.to_owned()).await?;
        let reserved: u32 = stock.reserved.values().sum();
        outln!(
            "  {article:<7} {} on the shelf, {reserved} reserved",
            stock.free
        );
    }
    runtime.stop().await;

    erase_eve(&engine, &personal).await?;
    store.close().await;
    Ok(())
}

/// Prints all past events, and then each new event. `head` is the position of the last past event.
fn print_events(engine: &Engine, head: Position) -> tokio::task::JoinHandle<()> {
    if head > Position::ZERO {
        outln!("The shop restarts. Past events:");
    }
    let mut events = engine.subscribe(Query::all(), Position::ZERO);
    tokio::spawn(async move {
        while let Ok(page) = events.next_page().await {
            for event in &page.events {
                outln!("{}", story::line(event));
                if event.position == head {
                    outln!("New events:");
                }
            }
        }
    })
}

async fn erase_eve(
    engine: &Engine,
    personal: &PersonalDataStore<SqliteStore>,
) -> anyhow::Result<()> {
    outln!("The personal data of Eve is erased. Orders and their addresses:");
    let erased = personal.erase("Eve").await?;
    engine.evict(&erased.streams);
    let placed = Read::all(Query::event_types(["order.placed"]));
    for event in engine.store().read(placed).await?.events {
        if let OrderEvent::Placed { order, address, .. } = event.decode()? {
            outln!("  {order}  {address}");
        }
    }
    Ok(())
}

/// Stocks the warehouse. Each command has an idempotency key, so a restart does not repeat it.
async fn stock_up(engine: &Engine) -> anyhow::Result<()> {
    for (article, quantity) in [("book", 5), ("chair", 1), ("lamp", 1), ("teapot", 2)] {
        let deliver = Deliver {
            article: article.to_owned(),
            quantity,
        };
        let key = format!("deliver-{article}");
        engine
            .execute(deliver)
            .by("warehouse")
            .idempotency_key(key)
            .await?;
    }
    Ok(())
}

async fn customers_order(engine: &Engine) -> anyhow::Result<()> {
    place_legacy_order(engine).await?;
    let orders = [
        (2, "Bob", "lamp", 3, 2_490, MONTH),
        (3, "Cleo", "chair", 1, 12_900, 1),
        (4, "Dan", "teapot", 2, 3_150, MONTH),
        (5, "Eve", "book", 2, 1_800, MONTH),
    ];
    for (order, customer, article, quantity, cents, seconds_to_pay) in orders {
        let place = Place {
            order,
            customer: customer.to_owned(),
            article: article.to_owned(),
            quantity,
            cents,
            seconds_to_pay,
            address: format!("{order} Harbour Street"),
        };
        let key = format!("place-{order}");
        engine
            .execute(place)
            .by(customer)
            .idempotency_key(key)
            .await?;
    }
    Ok(())
}

/// Stores Ada's order in the schema of an earlier release, with its price in euros.
async fn place_legacy_order(engine: &Engine) -> anyhow::Result<()> {
    let data = serde_json::json!({
        "order": 1, "customer": "Ada", "article": "book", "quantity": 1, "euros": 9.5,
        "seconds_to_pay": MONTH,
    });
    let data = serde_json::to_vec(&data)?;
    let key = IdempotencyKey::new("place-1", &data);
    let event = NewEvent {
        id: Uuid::from_u128(1),
        name: "order.placed".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: data.into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    let append =
        Append::stream("order-1".parse()?, ExpectedVersion::Any, vec![event]).idempotency_key(key);
    engine.store().append(append).await?;
    Ok(())
}

/// Ada and Eve pay, and Dan's card is declined. Cleo does not pay, and Bob gets no invoice.
async fn customers_pay(engine: &Engine) -> anyhow::Result<()> {
    let names = Query::event_types(["payment.requested"]);
    let mut invoices = engine.subscribe(names, Position::ZERO);
    let mut unpaid = vec![1, 4, 5];
    while !unpaid.is_empty() {
        for event in invoices.next_page().await?.events {
            let PaymentEvent::Requested { order, .. } = event.decode()? else {
                continue;
            };
            if unpaid.contains(&order) {
                let settle = Settle {
                    order,
                    paid: order != 4,
                };
                let key = format!("settle-{order}");
                engine
                    .execute(settle)
                    .by("bank")
                    .idempotency_key(key)
                    .await?;
                unpaid.retain(|other| *other != order);
            }
        }
    }
    Ok(())
}

/// Waits until each of the five orders is shipped or cancelled.
async fn wait_for_all_orders(engine: &Engine) -> anyhow::Result<Position> {
    let names = Query::event_types(["order.shipped", "order.cancelled"]);
    let mut completed = engine.subscribe(names, Position::ZERO);
    let mut open = 5;
    loop {
        for event in completed.next_page().await?.events {
            let _: OrderEvent = event.decode()?;
            open -= 1;
            if open == 0 {
                return Ok(event.position);
            }
        }
    }
}
