//! Deadlines of decisions that several programs execute: they do not all try each of them.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/reminders.rs"]
mod reminders;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use factum::prelude::*;
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty};
use reminders::{DAY, NotNow, Order, OrderEvent, engine, log, tell};

static DECIDED: AtomicUsize = AtomicUsize::new(0);

/// Counts how often it is decided.
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
        Ok(tell("noted"))
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
async fn whoever_finds_another_at_work_leaves_the_rest_to_it() {
    const ORDERS: usize = 150;
    let store = MemoryStore::new();
    let (setting, clock) = engine(store.clone());
    for order in 0..ORDERS {
        let order = order.to_string();
        setting.execute(NoteLater { order }).await.unwrap();
    }
    // As slow as a database.
    let slow = Faults {
        pauses: 1.0,
        longest_pause: Duration::from_millis(2),
        ..Faults::NONE
    };
    let start = |seed| {
        let store = Faulty::new(store.clone(), seed, slow);
        let engine = Engine::builder(store).clock(clock.clone()).build();
        let processes = ProcessManagers::builder(&engine).deadlines::<Note>();
        processes.start()
    };
    let running = [start(1), start(2), start(3)];
    clock.advance(DAY);
    for running in running {
        running.wait_until_idle().await.unwrap();
        running.stop().await;
    }
    assert_eq!(log(&setting).await.len(), ORDERS);
    let decided = DECIDED.load(SeqCst);
    assert!(
        decided < ORDERS * 3 / 2,
        "decided {decided} times, of {ORDERS}"
    );
}
