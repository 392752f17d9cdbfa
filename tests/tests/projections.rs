//! How a projection that several processes share tells of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::async_trait;
use factum::document::{Change, ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum::prelude::*;
use factum::{
    Append, AppendError, Appended, EventError, EventStore, IdempotencyKey, Page, Position,
    Projections, Query, Read, ReadModel, RetryPolicy, Step, StepError, StoreError,
};
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

/// A store that crashes its caller behind the first change of a dead letter that is discarded.
#[derive(Clone)]
struct Crashing {
    store: MemoryStore,
    settled: Arc<AtomicBool>,
}

#[async_trait]
impl DocumentStore for Crashing {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        if self.settled.load(SeqCst) {
            return Err(StoreError::Interrupted("it has crashed".into()).into());
        }
        let settles = |change: &Change| change.key.starts_with("settled/");
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

factum::delegate!(snapshots, [] Crashing, |this| this.store);

/// What happens does not concern it.
struct Elsewhere;

#[async_trait]
impl ReadModel for Elsewhere {
    fn name(&self) -> &str {
        "elsewhere"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::names(["elsewhere.happened"])
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        step.change().await
    }
}

#[tokio::test]
async fn what_does_not_concern_a_projection_is_noted_down_for_many_events_together() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let projections = Projections::builder(&engine).with(Elsewhere).start();
    projections.wait_for(Position::ZERO).await.unwrap();
    // Revisions count the changes of a store.
    let changes = async || {
        let probe = Changes::new().put("probe", "1");
        store.change_documents(probe).await.unwrap().get()
    };
    let mut last = Position::ZERO;
    let before = changes().await;
    for _ in 0..200 {
        last = engine.execute(Light { lamp: 1 }).await.unwrap().position();
        // The projection comes to it each time.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    let made = changes().await - before;
    assert!(made < 100, "{made}");
    // Whoever waits for it waits for no more.
    projections.wait_for(last).await.unwrap();
    let noted = factum::projections::checkpoint(&store, "elsewhere").await;
    assert_eq!(noted.unwrap(), last);
    projections.stop().await;
}

/// Cannot take the first event.
struct Picky;

#[async_trait]
impl ReadModel for Picky {
    fn name(&self) -> &str {
        "picky"
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
            true => Err(EventError::new(first, "picky".to_owned()).into()),
            false => step.change().await,
        }
    }
}

#[tokio::test]
async fn what_waits_behind_what_is_discarded_goes_on_though_whoever_discards_it_crashes() {
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    let once = RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    };
    let builder = Projections::builder(&engine).retry(once).with(Picky);
    let projections = builder.start();
    let light = async || engine.execute(Light { lamp: 1 }).await.unwrap().position();
    light().await;
    projections.wait_for(light().await).await.unwrap();
    assert_eq!(projections.status()[0].parked, 2);
    let crashing = Engine::new(Crashing {
        store: store.clone(),
        settled: Arc::default(),
    });
    let other = Projections::builder(&crashing).with(Picky).start();
    other.wait_for(Position::ZERO).await.unwrap();
    // Whatever it says: it may have crashed behind any of its changes.
    let _ = other.discard("picky", Position::new(1), "picky").await;
    let mut status = projections.watch("picky").unwrap();
    let free = status.wait_for(|status| status.parked == 0);
    let free = tokio::time::timeout(Duration::from_secs(20), free).await;
    assert!(
        free.is_ok(),
        "{:?}",
        projections.dead_letters("picky").await
    );
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
