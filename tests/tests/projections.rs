//! Projections: status, checkpoints, discards, names and stored control documents.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{Batch, BatchError, Consumer, EventError, ReadModel, StartError, WaitError};
use factum::store::async_trait;
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

impl Consumer for LostReply {
    fn name(&self) -> &str {
        "lost-reply"
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        if self.failed.swap(true, SeqCst) {
            return batch.commit().await;
        }
        batch.commit().await?;
        Err(StoreError::Interrupted("the answer was lost".into()).into())
    }
}

impl ReadModel for LostReply {
    fn version(&self) -> u32 {
        1
    }
}

#[tokio::test]
async fn lost_commit_reply_is_not_reported_as_error() {
    let engine = Engine::new(MemoryStore::new());
    let model = LostReply::default();
    let runtime = Runtime::builder(&engine)
        .projection(model.clone())
        .start()
        .await
        .unwrap();
    let receipt = engine.execute(Light { lamp: 1 }).await.unwrap();
    runtime.wait_for(receipt.position()).await.unwrap();
    assert!(model.failed.load(SeqCst));
    assert_eq!(runtime.status()[0].last_error, None);
    runtime.stop().await;
}

/// A store that fails every change after the first one that resolves a dead letter.
#[derive(Clone)]
struct Crashing {
    store: MemoryStore,
    resolved: Arc<AtomicBool>,
}

#[async_trait]
impl DocumentStore for Crashing {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        if self.resolved.load(SeqCst) {
            return Err(StoreError::Interrupted("crashed".into()).into());
        }
        let resolves = |change: &DocumentChange| change.key.starts_with("dead-letter/resolved/");
        let resolves = changes.as_slice().iter().any(resolves);
        let changed = self.store.change_documents(changes).await;
        self.resolved.fetch_or(resolves, SeqCst);
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

impl Consumer for Unrelated {
    fn name(&self) -> &str {
        "unrelated"
    }

    fn query(&self) -> Query {
        Query::event_types(["unrelated.happened"])
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        batch.commit().await
    }
}

impl ReadModel for Unrelated {
    fn version(&self) -> u32 {
        1
    }
}

#[tokio::test]
async fn checkpoint_of_unrelated_events_is_batched() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine)
        .projection(Unrelated)
        .start()
        .await
        .unwrap();
    runtime.wait_for(Position::ZERO).await.unwrap();
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
    runtime.wait_for(last).await.unwrap();
    let persisted = factum::runtime::checkpoint(&store, "unrelated").await;
    assert_eq!(persisted.unwrap(), last);
    runtime.stop().await;
}

/// A read model that fails on the first event.
struct FailsOnFirst;

impl Consumer for FailsOnFirst {
    fn name(&self) -> &str {
        "fails-on-first"
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let first = Position::new(1);
        match batch.events.iter().any(|event| event.position == first) {
            true => Err(EventError::handler(first, "first event".to_owned()).into()),
            false => batch.commit().await,
        }
    }
}

impl ReadModel for FailsOnFirst {
    fn version(&self) -> u32 {
        1
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
    let builder = Runtime::builder(&engine)
        .retry(once)
        .projection(FailsOnFirst);
    let runtime = builder.start().await.unwrap();
    let light = async || engine.execute(Light { lamp: 1 }).await.unwrap().position();
    light().await;
    runtime.wait_for(light().await).await.unwrap();
    assert_eq!(runtime.status()[0].dead_letters, 2);
    let crashing = Engine::new(Crashing {
        store: store.clone(),
        resolved: Arc::default(),
    });
    let other = Runtime::builder(&crashing)
        .projection(FailsOnFirst)
        .start()
        .await
        .unwrap();
    other.wait_for(Position::ZERO).await.unwrap();
    // The result depends on the change at which the crash happens.
    let request = other.projection_named("fails-on-first").unwrap();
    let _ = request.discard(Position::new(1), "discarded").await;
    let handle = runtime.projection_named("fails-on-first").unwrap();
    let mut status = handle.watch();
    let unblocked = status.wait_for(|status| status.dead_letters == 0);
    let unblocked = tokio::time::timeout(Duration::from_secs(20), unblocked);
    let is_unblocked = unblocked.await.is_ok();
    assert!(is_unblocked, "{:?}", handle.dead_letters().await);
    runtime.stop().await;
}

/// An empty read model with the given name.
struct Named(&'static str);

impl Consumer for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        batch.commit().await
    }
}

impl ReadModel for Named {
    fn version(&self) -> u32 {
        1
    }
}

#[tokio::test]
async fn projection_names_must_be_valid_and_unique() {
    let engine = Engine::new(MemoryStore::new());
    let start = async |names: &[&'static str]| {
        let builder = Runtime::builder(&engine);
        let builder = names
            .iter()
            .fold(builder, |builder, name| builder.projection(Named(name)));
        builder.start().await.map(drop)
    };
    let long: &'static str = "n".repeat(201).leak();
    for name in ["", "a/b", "a\nb", long] {
        let error = start(&["fine", name]).await.unwrap_err();
        assert!(matches!(error, StartError::InvalidName { .. }), "{error:?}");
        let shown: String = name.chars().take(80).collect();
        assert_eq!(
            error.to_string(),
            format!(
                "invalid projection name {shown:?}; use 1 to 200 bytes without `/` or control characters"
            )
        );
    }
    let error = start(&["a", "b", "a"]).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "two projections have the name \"a\"; give each a name of its own"
    );
    // All other characters are valid.
    start(&["ö %_'\"", &long[1..], "{}"]).await.unwrap();
}

#[tokio::test]
async fn invalid_control_document_is_named() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let put = |value: &str| factum::store::DocumentChanges::new().put("consumer/by hand", value);
    store.change_documents(put("{\"builds\":7}")).await.unwrap();
    let retry = factum::engine::RetryPolicy {
        attempts: 2,
        base: std::time::Duration::from_millis(1),
        cap: std::time::Duration::from_millis(1),
    };
    let builder = Runtime::builder(&engine).retry(retry);
    let runtime = builder.projection(Named("by hand")).start().await.unwrap();
    let by_hand = runtime.projection_named("by hand").unwrap();
    let stopped = runtime.wait_for(0.into()).await.unwrap_err();
    let WaitError::Stopped { error, .. } = stopped else {
        panic!("{stopped:?}");
    };
    assert!(error.contains("document \"consumer/by hand\""), "{error}");
    // Zero partitions count as one, and build numbers are never reused.
    let control = r#"{"active":7,"builds":[{"number":7,"version":1,"partitions":0}],"last_build":0,
        "paused":false,"promote_now":null,"retries":0,"resumed":0}"#;
    store.change_documents(put(control)).await.unwrap();
    by_hand.resume().await.unwrap();
    engine.execute(Light { lamp: 1 }).await.unwrap();
    runtime.wait_for(1.into()).await.unwrap();
    by_hand.rebuild().await.unwrap();
    assert_eq!(runtime.status()[0].build, 8);
    runtime.stop().await;
}

#[tokio::test]
async fn unknown_projection_error_lists_known_ones() {
    let engine = Engine::new(MemoryStore::new());
    let runtime = Runtime::builder(&engine)
        .projection(LostReply::default())
        .start()
        .await
        .unwrap();
    let error = runtime.projection_named("lamps").unwrap_err().to_string();
    let expected =
        r#"no projection "lamps"; the runtime has ["lost-reply"]: add it to `Runtime::builder`"#;
    assert_eq!(error, expected);
    runtime.stop().await;
}
