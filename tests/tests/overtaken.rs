//! A repeated command that the first one overtakes in another process, between its look at the key and its
//! look at the state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factum::prelude::*;
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, Read, StoreError,
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

/// Behind the first look at a key, another process lights the lamp: under the key, or without one.
#[derive(Clone)]
struct Overtaken {
    store: MemoryStore,
    under: Option<&'static str>,
    done: Arc<AtomicBool>,
}

impl Overtaken {
    fn engine(under: Option<&'static str>) -> (Engine, MemoryStore) {
        let store = MemoryStore::new();
        let overtaken = Self {
            store: store.clone(),
            under,
            done: Arc::default(),
        };
        (Engine::new(overtaken), store)
    }
}

#[factum::async_trait]
impl EventStore for Overtaken {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        let found = self.store.find(key).await;
        if !self.done.swap(true, Ordering::SeqCst) {
            let elsewhere = Engine::new(self.store.clone());
            let mut first = elsewhere.execute(Light { lamp: 1 });
            if let Some(key) = self.under {
                first = first.idempotency_key(key);
            }
            first.await.expect("the lamp is dark");
        }
        found
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::delegate!(snapshots, [] Overtaken, |this| this.store);
factum::delegate!(documents, [] Overtaken, |this| this.store);

#[tokio::test]
async fn a_repetition_that_the_first_overtakes_is_not_rejected_for_what_the_first_did() {
    let (engine, store) = Overtaken::engine(Some("k"));
    let light = engine.execute(Light { lamp: 1 }).idempotency_key("k");
    let receipt = light.await.unwrap();
    assert!(receipt.repeated());
    assert_eq!(receipt.position(), Position::new(1));
    assert_eq!(*store.watch().borrow(), Position::new(1));
}

#[tokio::test]
async fn a_repetition_that_the_first_overtakes_is_no_conflict_with_what_the_first_did() {
    let (engine, store) = Overtaken::engine(Some("k"));
    let light = engine.execute(Light { lamp: 1 }).idempotency_key("k");
    let receipt = light.expected_version(0).await.unwrap();
    assert!(receipt.repeated());
    assert_eq!(*store.watch().borrow(), Position::new(1));
}

#[tokio::test]
async fn what_others_did_without_the_key_still_rejects() {
    let (engine, _) = Overtaken::engine(None);
    let light = engine.execute(Light { lamp: 1 }).idempotency_key("k");
    assert!(matches!(light.await, Err(ExecuteError::Rejected(IsLit))));
    let (engine, _) = Overtaken::engine(None);
    let light = engine.execute(Light { lamp: 1 }).idempotency_key("k");
    let conflict = light.expected_version(0).await;
    assert!(matches!(conflict, Err(ExecuteError::Conflict { .. })));
}
