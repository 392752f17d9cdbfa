//! Engines with warm states over two handles.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::conformance::{Backend, all, everything};
use crate::prelude::*;
use crate::{
    Append, AppendError, Appended, EventStore, ExecuteError, IdempotencyKey, Page, Position, Read,
    RetryPolicy, Store, StoreError,
};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(crate = crate, prefix = "counter")]
pub(super) enum CounterEvent {
    Counted {
        to: u64,
        #[tag]
        group: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(crate = crate, category = "counter", id = u64, event = CounterEvent, snapshot(every = 5))]
pub(super) struct Counter {
    pub(super) count: u64,
    /// All that was counted to: every event leaves its trace, so that no later one hides a wrong beginning.
    pub(super) sum: u64,
}

impl Apply<CounterEvent> for Counter {
    fn apply(&mut self, event: &CounterEvent) {
        let CounterEvent::Counted { to, .. } = event;
        self.count = *to;
        self.sum += to;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(crate = crate, on = Counter)]
pub(super) struct Count {
    #[id]
    pub(super) counter: u64,
}

impl Decide for Count {
    type Error = std::convert::Infallible;

    fn decide(&self, counter: &Counter) -> Result<Events<CounterEvent>, Self::Error> {
        let to = counter.count + 1;
        let group = "all".to_owned();
        Ok(CounterEvent::Counted { to, group }.into())
    }
}

/// How many counts a group has seen, over all counters.
#[derive(Default)]
pub(super) struct Group {
    counts: u64,
}

impl Apply<CounterEvent> for Group {
    fn apply(&mut self, _: &CounterEvent) {
        self.counts += 1;
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the group is full")]
pub(super) struct Full;

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(crate = crate, on = Counter, query = Group)]
pub(super) struct CountInGroup {
    #[id]
    pub(super) counter: u64,
    #[tag]
    pub(super) group: String,
    pub(super) limit: u64,
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

/// The store of one of several engines. Nobody's append goes out until each of them has decided, so that
/// their first decisions rest on the same beginning, however fast the store is.
struct Rival<S> {
    store: S,
    number: u8,
    /// A bit for each rival that has decided.
    decided: Arc<watch::Sender<u8>>,
    all: u8,
}

#[async_trait]
impl<S: Store> EventStore for Rival<S> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.decided.send_modify(|bits| *bits |= 1 << self.number);
        let mut decided = self.decided.subscribe();
        let together = decided.wait_for(|bits| *bits == self.all).await;
        together.expect("the sender lives");
        // And from then on others may go first.
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

crate::delegate!(snapshots, [S: Store] Rival<S>, |this| this.store);
crate::delegate!(documents, [S: Store] Rival<S>, |this| this.store);

/// Engines on two handles of `place` that decide until they win, and both begin at the same beginning.
async fn rivals<B: Backend>(place: &B) -> [Engine; 2] {
    let decided = Arc::new(watch::Sender::new(0));
    let rival = |store, number| {
        let decided = decided.clone();
        patient(Rival {
            store,
            number,
            decided,
            all: 0b11,
        })
    };
    [rival(place.open().await, 0), rival(place.open().await, 1)]
}

/// An engine that decides until it wins.
pub(super) fn patient(store: impl Store) -> Engine {
    let retry = RetryPolicy {
        attempts: 1_000,
        ..RetryPolicy::default()
    };
    Engine::builder(store).retry(retry).build()
}

/// Engines on two handles lose no update.
pub async fn concurrent_engines_lose_no_update<B: Backend>() {
    let place = B::create().await;
    let engines = rivals(&place).await;
    let tasks = (0..16).map(|task| {
        let engine = engines[task % 2].clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                engine.execute(Count { counter: 1 }).await.expect("a count");
            }
        })
    });
    all(tasks.collect::<Vec<_>>()).await;
    for engine in &engines {
        let counter = engine.load::<Counter>(&1).await.expect("a counter");
        assert_eq!((counter.count, counter.sum), (80, 80 * 81 / 2));
        assert_eq!(counter.version().get(), 80);
    }
}

/// A key counts once over two engines.
pub async fn idempotency_key_executes_once_on_two_engines<B: Backend>() {
    let place = B::create().await;
    let engines = rivals(&place).await;
    let tasks = (0..16).map(|task| {
        let engine = engines[task % 2].clone();
        tokio::spawn(async move {
            let counted = engine.execute(Count { counter: 1 });
            counted.idempotency_key("req-7").await.expect("a count")
        })
    });
    let receipts = all(tasks.collect::<Vec<_>>()).await;
    let first = receipts.iter().filter(|receipt| !receipt.repeated());
    assert_eq!(first.count(), 1);
    for receipt in &receipts {
        assert_eq!(receipt.events(), receipts[0].events());
        assert_eq!((receipt.position().get(), receipt.version().get()), (1, 1));
    }
    let counter = engines[1].load::<Counter>(&1).await.expect("a counter");
    assert_eq!((counter.count, counter.version().get()), (1, 1));
}

/// A tag query holds its limit over two handles: of one, and of a few.
pub async fn dcb_limit_holds_across_two_handles<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let engines = rivals(&place).await;
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
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let counted = all(tasks.collect::<Vec<_>>()).await;
        let counted = counted.iter().filter(|counted| **counted).count() as u64;
        assert_eq!(counted, limit, "in the group of {group}");
        stored += limit as usize;
        assert_eq!(everything(&store, 100).await.len(), stored);
    }
}
