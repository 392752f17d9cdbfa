//! Projections: status, checkpoints, discards, names and stored control documents.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::async_trait;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{Batch, BatchError, EventError, ReadModel};
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Query, Read, StoreError,
};
use factum::store::{
    Document, DocumentChange, DocumentChanges, DocumentError, DocumentStore, Revision, Scan,
};
use factum::{Position, Runtime};
use factum_memory::MemoryStore;
use tokio::sync::watch;

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

/// A read model whose first batch is committed but reported as failed.
#[derive(Clone, Default)]
struct LostReply {
    failed: Arc<AtomicBool>,
}

#[async_trait]
impl ReadModel for LostReply {
    fn name(&self) -> &str {
        "lost-reply"
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
async fn lost_commit_reply_is_not_reported_as_error() {
    let engine = Engine::new(MemoryStore::new());
    let model = LostReply::default();
    let projections = Projections::builder(&engine).with(model.clone()).start();
    let receipt = engine.execute(Light { lamp: 1 }).await.unwrap();
    projections.wait_for(receipt.position()).await.unwrap();
    assert!(model.failed.load(SeqCst));
    assert_eq!(projections.status()[0].last_error, None);
    projections.stop().await;
}

/// A store that fails every change after the first one that settles a dead letter.
#[derive(Clone)]
struct Crashing {
    store: MemoryStore,
    settled: Arc<AtomicBool>,
}

#[async_trait]
impl DocumentStore for Crashing {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        if self.settled.load(SeqCst) {
            return Err(StoreError::Interrupted("crashed".into()).into());
        }
        let settles = |change: &DocumentChange| change.key.starts_with("settled/");
        let settles = changes.as_slice().iter().any(settles);
        let changed = self.store.change_documents(changes).await;
        self.settled.fetch_or(settles, SeqCst);
        changed
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.store.scan_documents(scan).await
    }
}

#[async_trait]
impl EventStore for Crashing {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] Crashing, |this| this.store);

/// A read model whose query matches no event.
struct Unrelated;

#[async_trait]
impl ReadModel for Unrelated {
    fn name(&self) -> &str {
        "unrelated"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::event_types(["unrelated.happened"])
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        step.change().await
    }
}

#[tokio::test]
async fn checkpoint_of_unrelated_events_is_batched() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let projections = Projections::builder(&engine).with(Unrelated).start();
    projections.wait_for(Position::ZERO).await.unwrap();
    // Revisions count the changes of a store.
    let changes = async || {
        let probe = DocumentChanges::new().put("probe", "1");
        store.change_documents(probe).await.unwrap().get()
    };
    let mut last = Position::ZERO;
    let before = changes().await;
    for _ in 0..200 {
        last = engine.execute(Light { lamp: 1 }).await.unwrap().position();
        // Lets the projection process each event before the next one.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    let changes = changes().await - before;
    assert!(changes < 100, "{changes}");
    // `wait_for` needs no further event, and then the stored checkpoint is exact.
    projections.wait_for(last).await.unwrap();
    let persisted = factum::runtime::checkpoint(&store, "unrelated").await;
    assert_eq!(persisted.unwrap(), last);
    projections.stop().await;
}

/// A read model that fails on the first event.
struct FailsOnFirst;

#[async_trait]
impl ReadModel for FailsOnFirst {
    fn name(&self) -> &str {
        "fails-on-first"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        let first = Position::new(1);
        match step.events.iter().any(|event| event.position == first) {
            true => Err(EventError::new(first, "first event".to_owned()).into()),
            false => step.change().await,
        }
    }
}

#[tokio::test]
async fn discard_completes_after_caller_crash() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let once = RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    };
    let builder = Projections::builder(&engine).retry(once).with(FailsOnFirst);
    let projections = builder.start();
    let light = async || engine.execute(Light { lamp: 1 }).await.unwrap().position();
    light().await;
    projections.wait_for(light().await).await.unwrap();
    assert_eq!(projections.status()[0].parked, 2);
    let crashing = Engine::new(Crashing {
        store: store.clone(),
        settled: Arc::default(),
    });
    let other = Projections::builder(&crashing).with(FailsOnFirst).start();
    other.wait_for(Position::ZERO).await.unwrap();
    // The result depends on the change at which the crash happens.
    let _ = other
        .discard("fails-on-first", Position::new(1), "discarded")
        .await;
    let mut status = projections.watch("fails-on-first").unwrap();
    let unblocked = status.wait_for(|status| status.parked == 0);
    let unblocked = tokio::time::timeout(Duration::from_secs(20), unblocked).await;
    assert!(
        unblocked.is_ok(),
        "{:?}",
        projections.dead_letters("fails-on-first").await
    );
    projections.stop().await;
}

/// An empty read model with the given name.
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
async fn projection_names_must_be_valid_and_unique() {
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
    // All other characters are valid.
    start(&["ö %_'\"", &long[1..], "{}"]).unwrap();
}

#[tokio::test]
async fn invalid_control_document_is_named() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let put = |value: &str| factum::store::DocumentChanges::new().put("projection/by hand", value);
    store.change_documents(put("{\"builds\":7}")).await.unwrap();
    let retry = factum::engine::RetryPolicy {
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
    // Zero partitions count as one, and build numbers are never reused.
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
async fn unknown_projection_error_lists_known_ones() {
    let engine = Engine::new(MemoryStore::new());
    let projections = Projections::builder(&engine)
        .with(LostReply::default())
        .start();
    let error = projections.rebuild("lamps").await.unwrap_err().to_string();
    let expected =
        r#"there is no projection "lamps" among ["lost-reply"]: give it to `Projections::builder`"#;
    assert_eq!(error, expected);
    projections.stop().await;
}
