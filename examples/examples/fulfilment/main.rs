//! An order fulfilment on one SQLite file: orders, stock, payments and parcels, and a process manager that leads each order
//! through them, with compensation where something is rejected and a deadline for the payment.
//!
//! ```sh
//! cargo run --example fulfilment              # in a folder that goes away
//! cargo run --example fulfilment -- shop.db   # kill it whenever you like, and start it again
//! ```
//!
//! Beside `shop.db` it keeps `shop.keys.db` with the keys of personal data, and `shop.seen` with how far the window was.
//! Delete all three to begin anew.

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

use factum::prelude::*;
use factum::privacy::{DocumentKeys, PersonalDataStore};
use factum::process_managers::StartFrom;
use factum::{
    Append, ContentType, EventStore as _, ExpectedVersion, IdempotencyKey, Metadata, NewEvent,
    Position, Query, Read,
};
use factum_examples::say;
use factum_sqlite::SqliteStore;
use order::{OrderEvent, Place};
use payment::{PaymentEvent, Settle};
use process::Fulfilment;
use stock::{Deliver, Stock};
use tokio::sync::watch;
use uuid::Uuid;

/// An instance that was killed is taken for dead after this time.
const LEASE: Duration = Duration::from_millis(150);
/// A real shop takes it from its environment.
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const MONTH: u64 = 30 * 24 * 3_600;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = std::env::args_os().nth(1);
    let file: PathBuf = file.map_or_else(|| folder.path().join("shop.db"), Into::into);
    let store = SqliteStore::open(&file).await?;
    // Addresses are encrypted, with keys in a file of their own.
    let keys = SqliteStore::open(file.with_extension("keys.db")).await?;
    let keys = DocumentKeys::open(keys, MASTER_KEY.parse()?).await?;
    let personal = PersonalDataStore::new(store.clone(), keys);
    let engine = Engine::new(personal.clone());

    let teller = tell(&engine, *store.watch().borrow());
    let window = InMemory::new();
    let board = Projections::builder(&engine)
        .with(store.read_model(board::Board))
        .with(window.clone())
        .lease(LEASE)
        .start();
    let (showing, mut shown) = watch::channel(Position::ZERO);
    let window = tokio::spawn(window::show(window, file.with_extension("seen"), showing));
    let office = ProcessManagers::builder(&engine)
        .with_from::<Fulfilment>(StartFrom::Beginning)
        .lease(LEASE)
        .start();

    stock_up(&engine).await?;
    customers_order(&engine).await?;
    customers_pay(&engine).await?;
    let last = every_order_ends(&engine).await?;
    office.wait_until_idle().await?;
    board.wait_for(last).await?;
    if shown.wait_for(|shown| *shown >= last).await.is_err() {
        return window.await?;
    }

    office.stop().await;
    teller.abort();
    say!("\nThe board at the end of the day:");
    for line in board::lines(&store).await? {
        say!("{line}");
    }
    say!("The warehouse:");
    for article in ["book", "chair", "lamp", "teapot"] {
        let stock = engine.load::<Stock>(&article.to_owned()).await?;
        let kept: u32 = stock.reserved.values().sum();
        say!("  {article:<7} {} on the shelf, {kept} taken", stock.free);
    }
    board.stop().await;

    erase_eve(&engine, &personal).await?;
    store.close().await;
    Ok(())
}

/// What happened before is told first, then each event as it is stored, without a gap.
fn tell(engine: &Engine, known: Position) -> tokio::task::JoinHandle<()> {
    if known > Position::ZERO {
        say!("The shop opens again. So far:");
    }
    let mut events = engine.subscribe(Query::all(), Position::ZERO);
    tokio::spawn(async move {
        while let Ok(page) = events.next_page().await {
            for event in &page.events {
                say!("{}", story::line(event));
                if event.position == known {
                    say!("And now:");
                }
            }
        }
    })
}

async fn erase_eve(
    engine: &Engine,
    personal: &PersonalDataStore<SqliteStore>,
) -> anyhow::Result<()> {
    say!("Eve asks to be forgotten. Orders, and where they went:");
    let erased = personal.erase("Eve").await?;
    engine.evict(&erased.streams);
    let placed = Read::all(Query::names(["order.placed"]));
    for event in engine.store().read(placed).await?.events {
        if let OrderEvent::Placed { order, address, .. } = event.decode()? {
            say!("  {order}  {address}");
        }
    }
    Ok(())
}

/// Each command has a key: after a restart it is given again, and happens once.
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
    order_of_old(engine).await?;
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

/// Ada's order stands in the file as an earlier release of the shop has written it, with its price in euros.
async fn order_of_old(engine: &Engine) -> anyhow::Result<()> {
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
    let append = Append::stream("order-1".parse()?, ExpectedVersion::Any, vec![event]).once(key);
    engine.store().append(append).await?;
    Ok(())
}

/// Ada and Eve pay, Dan's card is declined; Cleo forgets, and Bob never gets an invoice.
async fn customers_pay(engine: &Engine) -> anyhow::Result<()> {
    let names = Query::names(["payment.requested"]);
    let mut invoices = engine.subscribe(names, Position::ZERO);
    let mut waiting = vec![1, 4, 5];
    while !waiting.is_empty() {
        for event in invoices.next_page().await?.events {
            let PaymentEvent::Requested { order, .. } = event.decode()? else {
                continue;
            };
            if waiting.contains(&order) {
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
                waiting.retain(|other| *other != order);
            }
        }
    }
    Ok(())
}

/// Waits until each of the five orders is shipped or cancelled.
async fn every_order_ends(engine: &Engine) -> anyhow::Result<Position> {
    let names = Query::names(["order.shipped", "order.cancelled"]);
    let mut ends = engine.subscribe(names, Position::ZERO);
    let mut open = 5;
    loop {
        for event in ends.next_page().await?.events {
            let _: OrderEvent = event.decode()?;
            open -= 1;
            if open == 0 {
                return Ok(event.position);
            }
        }
    }
}
