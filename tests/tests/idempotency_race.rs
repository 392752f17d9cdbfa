//! A repeated command that races with its first execution in another process.
//!
//! The first execution completes before the repetition loads the state, or between its load and its append.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factum::Position;
use factum::prelude::*;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Read, StoreError,
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
    lit: bool,
}

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {
        self.lit = true;
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the lamp is lit")]
struct IsLit;

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Light {
    #[id]
    lamp: u32,
}

impl Decide for Light {
    type Error = IsLit;
    fn decide(&self, lamp: &Lamp) -> Result<Events<LampEvent>, IsLit> {
        if lamp.lit {
            return Err(IsLit);
        }
        Ok(LampEvent::Lit.into())
    }
}

/// The call of the store before which another process lights the lamp.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    BeforeLoad,
    BeforeAppend,
}

const MOMENTS: [Moment; 2] = [Moment::BeforeLoad, Moment::BeforeAppend];

/// A store in which another process lights the lamp at a moment.
///
/// The command of the other process has the key, or none.
#[derive(Clone)]
struct RacingStore {
    store: MemoryStore,
    moment: Moment,
    key: Option<&'static str>,
    done: Arc<AtomicBool>,
}

impl RacingStore {
    fn engine(moment: Moment, key: Option<&'static str>) -> (Engine, MemoryStore) {
        let store = MemoryStore::new();
        let racing = Self {
            store: store.clone(),
            moment,
            key,
            done: Arc::default(),
        };
        (Engine::new(racing), store)
    }

    async fn reach(&self, moment: Moment) {
        if moment == self.moment && !self.done.swap(true, Ordering::SeqCst) {
            let other = Engine::new(self.store.clone());
            let mut first = other.execute(Light { lamp: 1 });
            if let Some(key) = self.key {
                first = first.idempotency_key(key);
            }
            first.await.expect("the lamp is dark");
        }
    }
}

#[factum::store::async_trait]
impl EventStore for RacingStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.reach(Moment::BeforeAppend).await;
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.reach(Moment::BeforeLoad).await;
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] RacingStore, |this| this.store);
factum::store::delegate!(documents, [] RacingStore, |this| this.store);

#[tokio::test]
async fn racing_repetition_returns_first_result_not_rejection() {
    for moment in MOMENTS {
        let (engine, store) = RacingStore::engine(moment, Some("k"));
        let light = engine.execute(Light { lamp: 1 }).idempotency_key("k");
        let receipt = light.await.unwrap();
        assert!(receipt.repeated(), "{moment:?}");
        assert_eq!(receipt.position(), Position::new(1), "{moment:?}");
        assert_eq!(*store.watch().borrow(), Position::new(1), "{moment:?}");
    }
}

#[tokio::test]
async fn racing_repetition_returns_first_result_not_conflict() {
    for moment in MOMENTS {
        let (engine, store) = RacingStore::engine(moment, Some("k"));
        let light = engine.execute(Light { lamp: 1 }).idempotency_key("k");
        let receipt = light.expected_version(0).await.unwrap();
        assert!(receipt.repeated(), "{moment:?}");
        assert_eq!(*store.watch().borrow(), Position::new(1), "{moment:?}");
    }
}

#[tokio::test]
async fn racing_command_without_key_causes_a_rejection() {
    for moment in MOMENTS {
        let (engine, _) = RacingStore::engine(moment, None);
        let light = engine.execute(Light { lamp: 1 }).idempotency_key("k");
        let rejected = light.await;
        assert!(
            matches!(rejected, Err(ExecuteError::Rejected(IsLit))),
            "{moment:?}: {rejected:?}"
        );
        let (engine, _) = RacingStore::engine(moment, None);
        let light = engine.execute(Light { lamp: 1 }).idempotency_key("k");
        let conflict = light.expected_version(0).await;
        assert!(
            matches!(conflict, Err(ExecuteError::Conflict { .. })),
            "{moment:?}: {conflict:?}"
        );
    }
}
