//! New consumers begin at the start position that the program names; it is stored once `start` returns.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/server.rs"]
mod server;

use std::sync::{Arc, Mutex};

use factum::prelude::*;
use factum::runtime::{EventHandler, HandlerError, RuntimeBuilder};
use factum_tests::backend::Backend;
use factum_tests::load::{Fill, JarEvent};

/// Records the positions of the events that it handles.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<u64>>>);

impl EventHandler<JarEvent> for Recorder {
    async fn handle(&self, event: &Recorded<JarEvent>) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(event.record.position.get());
        Ok(())
    }
}

impl Recorder {
    fn positions(&self) -> Vec<u64> {
        let mut positions = self.0.lock().unwrap().clone();
        positions.sort_unstable();
        positions
    }
}

async fn fill(engine: &Engine, turn: u64) -> Receipt {
    engine.execute(Fill::new("writer", turn)).await.unwrap()
}

/// Returns a builder with a handler from the beginning and one from the end, and what they record.
fn handlers(engine: &Engine) -> (RuntimeBuilder, Recorder, Recorder) {
    let (all, new) = (Recorder::default(), Recorder::default());
    let builder = Runtime::builder(engine)
        .handler("all", all.clone(), StartFrom::Beginning)
        .handler("new", new.clone(), StartFrom::End);
    (builder, all, new)
}

async fn start_position_survives_end_of_program(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let before = fill(&engine, 1).await.position().get();
    let (builder, ..) = handlers(&engine);
    // The runtime ends before it can process an event. No lease was acquired, but the position is stored.
    drop(builder.start().await.unwrap());

    // This event is stored while no program runs. It is after the start position.
    let missed = fill(&engine, 2).await.position();
    let (builder, all, new) = handlers(&engine);
    let runtime = builder.start().await.unwrap();
    let last = fill(&engine, 3).await.position();
    runtime.wait_for(last).await.unwrap();
    assert_eq!(all.positions(), (1..=last.get()).collect::<Vec<_>>());
    assert_eq!(
        new.positions(),
        (before + 1..=last.get()).collect::<Vec<_>>()
    );
    assert!(new.positions().contains(&missed.get()));
    runtime.stop().await;
    backend.close().await;
}

async fn start_position_applies_to_new_consumers_only(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let (builder, _, first) = handlers(&engine);
    let runtime = builder.start().await.unwrap();
    let receipt = fill(&engine, 1).await;
    runtime.wait_for(receipt.position()).await.unwrap();
    runtime.stop().await;
    let handled = first.positions();
    assert_eq!(handled, (1..=receipt.position().get()).collect::<Vec<_>>());

    let missed = fill(&engine, 2).await;
    let (builder, _, second) = handlers(&engine);
    // The stored checkpoint counts, although the handler starts at the end if it is new.
    let runtime = builder.start().await.unwrap();
    runtime.wait_for(missed.position()).await.unwrap();
    let expected = receipt.position().get() + 1..=missed.position().get();
    assert_eq!(second.positions(), expected.collect::<Vec<_>>());
    runtime.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    start_position_survives_end_of_program;
    start_position_applies_to_new_consumers_only;
}
