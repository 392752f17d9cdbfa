//! How a projection that several processes share tells of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use factum::async_trait;
use factum::document::{DocumentStore as _, Revision};
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

/// Named as one likes; takes nothing.
struct Named(&'static str);

#[async_trait]
impl ReadModel for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        step.change().await
    }
}

#[tokio::test]
async fn a_projection_has_a_name_of_its_own() {
    let engine = Engine::new(MemoryStore::new());
    let start = |names: &[&'static str]| {
        let builder = Projections::builder(&engine);
        let builder = names
            .iter()
            .fold(builder, |builder, name| builder.with(Named(name)));
        builder.try_start().map(drop)
    };
    let long: &'static str = "n".repeat(201).leak();
    for name in ["", "a/b", "a\nb", long] {
        let error = start(&["fine", name]).unwrap_err().to_string();
        let rule = "is no name of a projection: 1 to 200 bytes without `/` or control characters";
        assert!(error.ends_with(rule), "{error}");
    }
    let error = start(&["a", "b", "a"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the projection \"a\" is there twice: each needs a name of its own"
    );
    // Whatever else stands there is as good as any.
    start(&["ö %_'\"", &long[1..], "{}"]).unwrap();
}

#[tokio::test]
async fn a_control_that_somebody_has_written_by_hand_is_named_when_it_is_none() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let put = |value: &str| factum::document::Changes::new().put("projection/by hand", value);
    store.change_documents(put("{\"builds\":7}")).await.unwrap();
    let retry = factum::RetryPolicy {
        attempts: 2,
        base: std::time::Duration::from_millis(1),
        cap: std::time::Duration::from_millis(1),
    };
    let builder = Projections::builder(&engine).retry(retry);
    let projections = builder.with(Named("by hand")).start();
    let error = projections.wait_for(1.into()).await.unwrap_err().error;
    assert!(
        error.contains("the document \"projection/by hand\""),
        "{error}"
    );
    // No partitions are one, and a number that was given out is not given again.
    let control = r#"{"serving":7,"builds":[{"number":7,"version":1,"partitions":0}],"last":0,
        "paused":false,"at_once":false,"retries":0,"resumed":0}"#;
    store.change_documents(put(control)).await.unwrap();
    projections.resume("by hand").await.unwrap();
    engine.execute(Light { lamp: 1 }).await.unwrap();
    projections.wait_for(1.into()).await.unwrap();
    projections.rebuild("by hand").await.unwrap();
    assert_eq!(projections.status()[0].build, 8);
    projections.stop().await;
}

#[tokio::test]
async fn an_order_for_what_does_not_run_here_says_what_does() {
    let engine = Engine::new(MemoryStore::new());
    let projections = Projections::builder(&engine)
        .with(Overtaken::default())
        .start();
    let error = projections.rebuild("lamps").await.unwrap_err().to_string();
    let expected =
        r#"there is no projection "lamps" among ["overtaken"]: give it to `Projections::builder`"#;
    assert_eq!(error, expected);
    projections.stop().await;
}
