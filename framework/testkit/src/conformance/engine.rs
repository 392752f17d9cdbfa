//! Cases about engines with cached states on two handles.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::harness::{Backend, all_events, join_all};
use factum::prelude::*;
use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::read::{Page, Read};
use factum_core::store::{EventStore, Store};
use factum_engine::engine::{ExecuteError, RetryPolicy};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "counter")]
pub enum CounterEvent {
    Counted {
        to: u64,
        #[tag]
        group: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "counter", id = u64, event = CounterEvent, snapshot(every = 5))]
pub struct Counter {
    pub count: u64,
    /// The sum of all counts, so that a state from a wrong snapshot differs even after later events.
    pub sum: u64,
}

impl Apply<CounterEvent> for Counter {
    fn apply(&mut self, event: &CounterEvent) {
        let CounterEvent::Counted { to, .. } = event;
        self.count = *to;
        self.sum += to;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Counter)]
pub struct Count {
    #[id]
    pub counter: u64,
}

impl Decide for Count {
    type Error = std::convert::Infallible;

    fn decide(&self, counter: &Counter) -> Result<Events<CounterEvent>, Self::Error> {
        let to = counter.count + 1;
        let group = "all".to_owned();
        Ok(CounterEvent::Counted { to, group }.into())
    }
}

/// The number of counts in a group, over all counters.
#[derive(Default)]
pub struct Group {
    counts: u64,
}

impl Apply<CounterEvent> for Group {
    fn apply(&mut self, _: &CounterEvent) {
        self.counts += 1;
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the group is full")]
pub struct Full;

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Counter, query = Group)]
pub struct CountInGroup {
    #[id]
    pub counter: u64,
    #[tag]
    pub group: String,
    pub limit: u64,
}

impl Decide for CountInGroup {
    type Error = Full;

    fn decide(&self, (counter, group): (&Counter, &Group)) -> Result<Events<CounterEvent>, Full> {
        if group.counts >= self.limit {
            return Err(Full);
        }
        let to = counter.count + 1;
        let group = self.group.clone();
        Ok(CounterEvent::Counted { to, group }.into())
    }
}

/// A store of one of several engines that holds back appends until every engine has decided once.
///
/// So the first decisions of all engines depend on the same state, however fast the store is.
struct CompetingStore<S> {
    store: S,
    number: u8,
    /// One bit for each engine that has decided.
    decided: Arc<watch::Sender<u8>>,
    all: u8,
}

#[async_trait]
impl<S: Store> EventStore for CompetingStore<S> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.decided.send_modify(|bits| *bits |= 1 << self.number);
        let mut decided = self.decided.subscribe();
        let all_decided = decided.wait_for(|bits| *bits == self.all).await;
        all_decided.expect("the sender should exist");
        // Let other tasks append first.
        tokio::task::yield_now().await;
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

factum_core::delegate!(snapshots, [S: Store] CompetingStore<S>, |this| this.store);
factum_core::delegate!(documents, [S: Store] CompetingStore<S>, |this| this.store);

/// Creates engines on two handles of `backend` that make their first decisions on the same state.
async fn competing_engines<B: Backend>(backend: &B) -> [Engine; 2] {
    let decided = Arc::new(watch::Sender::new(0));
    let engine = |store, number| {
        let decided = decided.clone();
        retrying_engine(CompetingStore {
            store,
            number,
            decided,
            all: 0b11,
        })
    };
    [
        engine(backend.open().await, 0),
        engine(backend.open().await, 1),
    ]
}

/// Creates an engine that retries a command up to 1,000 times.
pub fn retrying_engine(store: impl Store) -> Engine {
    let retry = RetryPolicy {
        attempts: 1_000,
        ..RetryPolicy::default()
    };
    Engine::builder(store).retry(retry).build()
}

/// Concurrent commands of two engines on the same aggregate lose no update.
pub async fn concurrent_engines_lose_no_update<B: Backend>() {
    let backend = B::create().await;
    let engines = competing_engines(&backend).await;
    let tasks = (0..16).map(|task| {
        let engine = engines[task % 2].clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                let counted = engine.execute(Count { counter: 1 }).await;
                counted.expect("the count should succeed");
            }
        })
    });
    join_all(tasks.collect::<Vec<_>>()).await;
    for engine in &engines {
        let counter = engine.load::<Counter>(&1).await;
        let counter = counter.expect("the counter should load");
        assert_eq!((counter.count, counter.sum), (80, 80 * 81 / 2));
        assert_eq!(counter.version().get(), 80);
    }
}

/// A command with one idempotency key is executed once, even on two engines.
pub async fn idempotency_key_executes_once_on_two_engines<B: Backend>() {
    let backend = B::create().await;
    let engines = competing_engines(&backend).await;
    let tasks = (0..16).map(|task| {
        let engine = engines[task % 2].clone();
        tokio::spawn(async move {
            let counted = engine.execute(Count { counter: 1 });
            let receipt = counted.idempotency_key("req-7").await;
            receipt.expect("the count should succeed")
        })
    });
    let receipts = join_all(tasks.collect::<Vec<_>>()).await;
    let executed = receipts.iter().filter(|receipt| !receipt.repeated());
    assert_eq!(executed.count(), 1, "the number of executions");
    for receipt in &receipts {
        assert_eq!(receipt.events(), receipts[0].events());
        assert_eq!((receipt.position().get(), receipt.version().get()), (1, 1));
    }
    let counter = engines[1].load::<Counter>(&1).await;
    let counter = counter.expect("the counter should load");
    assert_eq!((counter.count, counter.version().get()), (1, 1));
}

/// Two engines never exceed a limit that a DCB query checks, for a limit of one and of a few.
pub async fn dcb_limit_holds_across_two_handles<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let engines = competing_engines(&backend).await;
    let mut stored = 0;
    for (group, limit) in [("one", 1), ("few", 7)] {
        let tasks = (0..32).map(|task| {
            let engine = engines[task % 2].clone();
            tokio::spawn(async move {
                let command = CountInGroup {
                    counter: task as u64,
                    group: group.to_owned(),
                    limit,
                };
                match engine.execute(command).await {
                    Ok(_) => true,
                    Err(ExecuteError::Rejected(Full)) => false,
                    Err(error) => panic!("the count must succeed or be rejected, got {error}"),
                }
            })
        });
        let counted = join_all(tasks.collect::<Vec<_>>()).await;
        let counted = counted.iter().filter(|counted| **counted).count() as u64;
        assert_eq!(
            counted, limit,
            "the number of counts in the group {group:?}"
        );
        stored += limit as usize;
        assert_eq!(all_events(&store, 100).await.len(), stored);
    }
}
