//! How a projection that several processes share tells of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use factum::async_trait;
use factum::prelude::*;
use factum::{Page, Position, Projections, Query, ReadModel};
use factum_memory::MemoryStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Lit,
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "lamp", id = u32, event = LampEvent)]
struct Lamp {
    lit: u32,
}

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {
        self.lit += 1;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Light {
    #[id]
    lamp: u32,
}

impl Decide for Light {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(LampEvent::Lit.into())
    }
}

/// Its first page fails here; when it is opened again, another process has taken that page.
#[derive(Clone, Default)]
struct Shared {
    failed: Arc<AtomicBool>,
}

#[async_trait]
impl ReadModel for Shared {
    fn name(&self) -> &str {
        "shared"
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn open(&self) -> Result<Position, factum::ProjectionError> {
        Ok(Position::new(self.failed.load(SeqCst).into()))
    }

    async fn project(&self, _: &Page) -> Result<(), factum::ProjectionError> {
        self.failed.store(true, SeqCst);
        Err("not here".to_owned().into())
    }

    async fn reset(&self) -> Result<(), factum::ProjectionError> {
        unreachable!("nobody asks for it")
    }
}

#[tokio::test]
async fn what_another_process_mended_is_no_error_of_this_one() {
    let engine = Engine::new(MemoryStore::new());
    let shared = Shared::default();
    let projections = Projections::builder(&engine).with(shared.clone()).start();
    let receipt = engine.execute(Light { lamp: 1 }).await.unwrap();
    projections.wait_for(receipt.position()).await.unwrap();
    assert!(shared.failed.load(SeqCst));
    assert_eq!(projections.status()[0].last_error, None);
    projections.stop().await;
}
