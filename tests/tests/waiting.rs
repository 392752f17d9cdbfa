//! Waiting for read models, and stopping a shared runtime.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use factum::prelude::*;
use factum::runtime::InMemory;
use factum_memory::MemoryStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    Rung,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "bell", id = u32, event = BellEvent)]
struct Bell;

impl Apply<BellEvent> for Bell {
    fn apply(&mut self, _: &BellEvent) {}
}

#[derive(Command, Debug, Serialize)]
#[command(on = Bell)]
struct Ring(#[id] u32);

impl Decide for Ring {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Bell) -> Result<Events<BellEvent>, Self::Error> {
        Ok(vec![BellEvent::Rung; 10].into())
    }
}

#[derive(Projection, Default)]
#[projection(events = BellEvent)]
struct Rings(u64);

impl Project<BellEvent> for Rings {
    fn project(&mut self, _: &Recorded<BellEvent>) {
        self.0 += 1;
    }
}

/// A store with several pages of events.
async fn engine() -> (Engine, u64) {
    let engine = Engine::new(MemoryStore::new());
    for bell in 0..250 {
        engine.execute(Ring(bell)).await.unwrap();
    }
    (engine, 2_500)
}

#[tokio::test]
async fn head_is_the_position_of_the_last_event() {
    let engine = Engine::new(MemoryStore::new());
    assert_eq!(engine.head().await.unwrap(), factum::Position::ZERO);
    let receipt = engine.execute(Ring(1)).await.unwrap();
    assert_eq!(engine.head().await.unwrap(), receipt.position());
}

#[tokio::test]
async fn new_read_model_is_current_with_all_events() {
    let (engine, events) = engine().await;
    let rings = InMemory::<Rings>::new();
    let runtime = Runtime::builder(&engine).projection(rings.clone());
    let runtime = runtime.start().await.unwrap();
    runtime.wait_until_current().await.unwrap();
    assert_eq!(rings.read(|rings| rings.0), events);
    runtime.stop().await;
}

#[tokio::test]
async fn caught_up_consumers_have_processed_all_events() {
    let (engine, events) = engine().await;
    let rings = InMemory::<Rings>::new();
    let runtime = Runtime::builder(&engine).projection(rings.clone());
    let runtime = runtime.start().await.unwrap();
    runtime.wait_until_caught_up().await.unwrap();
    assert_eq!(rings.read(|rings| rings.0), events);
    engine.execute(Ring(1)).await.unwrap();
    let handle = runtime.projection::<Rings>().unwrap().clone();
    handle.wait_until_caught_up().await.unwrap();
    assert_eq!(rings.read(|rings| rings.0), events + 10);
    runtime.stop().await;
}

#[tokio::test]
async fn shared_runtime_stops_once() {
    let (engine, _) = engine().await;
    let runtime = Runtime::builder(&engine).projection(InMemory::<Rings>::new());
    let runtime = Arc::new(runtime.start().await.unwrap());
    let other = runtime.clone();
    let stopping = tokio::spawn(async move { other.stop().await });
    let both = async {
        runtime.stop().await;
        stopping.await.unwrap();
        runtime.stop().await;
    };
    tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .unwrap();
}
