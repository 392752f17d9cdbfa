//! Deadlines of decisions that several nodes execute: a node skips the work of another node.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/reminders.rs"]
mod reminders;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use factum::prelude::*;
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty};
use reminders::{DAY, NotNow, Order, OrderEvent, engine, log, noted};

static DECIDED: AtomicUsize = AtomicUsize::new(0);

/// A command that counts its decisions.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Note {
    #[id]
    order: String,
}

impl Decide for Note {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        DECIDED.fetch_add(1, SeqCst);
        Ok(noted("noted"))
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct NoteLater {
    #[id]
    order: String,
}

impl Decide for NoteLater {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        let order = self.order.clone();
        Ok(Events::none().deadline("note", DAY, Note { order }))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_skips_deadlines_that_another_node_executes() {
    const ORDERS: usize = 150;
    let store = MemoryStore::new();
    let (setting, clock) = engine(store.clone());
    for order in 0..ORDERS {
        let order = order.to_string();
        setting.execute(NoteLater { order }).await.unwrap();
    }
    // Simulates the latency of a database.
    let slow = Faults {
        pauses: 1.0,
        longest_pause: Duration::from_millis(2),
        ..Faults::NONE
    };
    let start = async |seed| {
        let store = Faulty::new(store.clone(), seed, slow);
        let engine = Engine::builder(store).clock(clock.clone()).build();
        let builder = Runtime::builder(&engine).deadlines::<Note>();
        builder.start().await.unwrap()
    };
    let running = [start(1).await, start(2).await, start(3).await];
    clock.advance(DAY);
    for running in running {
        running.wait_until_idle().await.unwrap();
        running.stop().await;
    }
    assert_eq!(log(&setting).await.len(), ORDERS);
    let decided = DECIDED.load(SeqCst);
    assert!(
        decided < ORDERS * 3 / 2,
        "{decided} decisions for {ORDERS} deadlines"
    );
}
