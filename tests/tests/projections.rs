//! How a projection that several processes share tells of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use factum::async_trait;
use factum::document::Revision;
use factum::prelude::*;
use factum::{Projections, Query, ReadModel, Step, StepError, StoreError};
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

/// Its first step is taken by another instance at the same moment, and fails here.
#[derive(Clone, Default)]
struct Overtaken {
    failed: Arc<AtomicBool>,
}

#[async_trait]
impl ReadModel for Overtaken {
    fn name(&self) -> &str {
        "overtaken"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        if self.failed.swap(true, SeqCst) {
            return step.change().await;
        }
        step.change().await?;
        Err(StoreError::Interrupted("the answer was lost".into()).into())
    }
}

#[tokio::test]
async fn what_was_done_though_the_answer_was_lost_is_no_error() {
    let engine = Engine::new(MemoryStore::new());
    let overtaken = Overtaken::default();
    let projections = Projections::builder(&engine)
        .with(overtaken.clone())
        .start();
    let receipt = engine.execute(Light { lamp: 1 }).await.unwrap();
    projections.wait_for(receipt.position()).await.unwrap();
    assert!(overtaken.failed.load(SeqCst));
    assert_eq!(projections.status()[0].last_error, None);
    projections.stop().await;
}
