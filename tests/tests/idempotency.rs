//! Idempotency keys: the calls of the store that they cost, and the results of repeated commands.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use factum::Position;
use factum::prelude::*;
use factum::store::async_trait;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Read, StoreError,
};
use factum_memory::MemoryStore;
use tokio::sync::watch;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "ticket")]
enum TicketEvent {
    Sold { seats: u32 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "ticket", id = u32, event = TicketEvent)]
struct Show {
    sold: u32,
}

impl Apply<TicketEvent> for Show {
    fn apply(&mut self, event: &TicketEvent) {
        let TicketEvent::Sold { seats } = event;
        self.sold += seats;
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the show is sold out")]
struct SoldOut;

/// Sells seats of a show that has ten. A sale of zero seats stores no event.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Show)]
struct Sell {
    #[id]
    show: u32,
    seats: u32,
}

impl Decide for Sell {
    type Error = SoldOut;
    fn decide(&self, show: &Show) -> Result<Events<TicketEvent>, SoldOut> {
        let seats = self.seats;
        match show.sold + seats {
            _ if seats == 0 => Ok(Events::none()),
            0..=10 => Ok(TicketEvent::Sold { seats }.into()),
            _ => Err(SoldOut),
        }
    }
}

fn sell(seats: u32) -> Sell {
    Sell { show: 1, seats }
}

/// A store that counts its calls.
#[derive(Clone, Default)]
struct CountingStore {
    store: MemoryStore,
    calls: Arc<Calls>,
}

#[derive(Default)]
struct Calls {
    appends: AtomicU64,
    reads: AtomicU64,
    finds: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    appends: u64,
    reads: u64,
    finds: u64,
}

impl CountingStore {
    /// Returns the number of calls since the last count.
    fn count(&self) -> Count {
        Count {
            appends: self.calls.appends.swap(0, SeqCst),
            reads: self.calls.reads.swap(0, SeqCst),
            finds: self.calls.finds.swap(0, SeqCst),
        }
    }
}

#[async_trait]
impl EventStore for CountingStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.calls.appends.fetch_add(1, SeqCst);
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.calls.reads.fetch_add(1, SeqCst);
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.calls.finds.fetch_add(1, SeqCst);
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] CountingStore, |this| this.store);
factum::store::delegate!(documents, [] CountingStore, |this| this.store);

/// An engine that has the state of the show in its cache, with one seat sold.
async fn engine_with_cached_state() -> (CountingStore, Engine) {
    let store = CountingStore::default();
    let engine = Engine::new(store.clone());
    engine.execute(sell(1)).await.unwrap();
    store.count();
    (store, engine)
}

const ONE_APPEND: Count = Count {
    appends: 1,
    reads: 0,
    finds: 0,
};

#[tokio::test]
async fn command_with_key_costs_one_append_on_cached_state() {
    let (store, engine) = engine_with_cached_state().await;
    let first = engine.execute(sell(1)).idempotency_key("k").await.unwrap();
    assert_eq!(store.count(), ONE_APPEND);
    assert!(!first.repeated());

    let again = engine.execute(sell(1)).idempotency_key("k").await.unwrap();
    let expected = Count {
        reads: 1, // the events of the first receipt
        ..ONE_APPEND
    };
    assert_eq!(store.count(), expected);
    assert_eq!((again.repeated(), again.attempts()), (true, 0));
    assert_eq!(again.events(), first.events());
    assert_eq!(again.position(), first.position());
    assert_eq!(again.versions(), first.versions());
    assert_eq!(engine.load::<Show>(&1).await.unwrap().sold, 2);
}

#[tokio::test]
async fn decision_without_events_costs_one_append_and_records_its_key() {
    let (store, engine) = engine_with_cached_state().await;
    let first = engine.execute(sell(0)).idempotency_key("k").await.unwrap();
    assert_eq!(store.count(), ONE_APPEND);
    assert_eq!((first.repeated(), first.events().len()), (false, 0));
    assert_eq!(first.version().get(), 1);

    let again = engine.execute(sell(0)).idempotency_key("k").await.unwrap();
    assert!(again.repeated());
    assert_eq!(again.position(), first.position());
    let other = engine.execute(sell(2)).idempotency_key("k").await;
    assert!(matches!(other, Err(ExecuteError::KeyReused { .. })));
}

#[tokio::test]
async fn decision_without_events_is_decided_again_on_stale_state() {
    let (store, engine) = engine_with_cached_state().await;
    let elsewhere = Engine::new(store.store.clone());
    elsewhere.execute(sell(2)).await.unwrap();
    let receipt = engine.execute(sell(0)).idempotency_key("k").await.unwrap();
    assert_eq!((receipt.version().get(), receipt.attempts()), (2, 2));
}

#[tokio::test]
async fn repeated_command_is_not_rejected() {
    let (store, engine) = engine_with_cached_state().await;
    let first = engine.execute(sell(9)).idempotency_key("k").await.unwrap();
    for engine in [engine, Engine::new(store.clone())] {
        store.count();
        let again = engine.execute(sell(9)).idempotency_key("k").await.unwrap();
        let calls = store.count();
        assert_eq!((calls.appends, calls.finds), (0, 1));
        assert!(again.repeated());
        assert_eq!(again.events(), first.events());
    }
}

#[tokio::test]
async fn repeated_command_does_not_conflict_with_itself() {
    let (_, engine) = engine_with_cached_state().await;
    let sell_at_version_1 = || {
        let sell = engine.execute(sell(2)).idempotency_key("k");
        sell.expected_version(1)
    };
    let first = sell_at_version_1().await.unwrap();
    let again = sell_at_version_1().await.unwrap();
    assert_eq!((first.repeated(), again.repeated()), (false, true));
    assert_eq!(again.events(), first.events());
}

#[tokio::test]
async fn reused_key_is_an_error_also_for_rejected_command() {
    let (_, engine) = engine_with_cached_state().await;
    engine.execute(sell(9)).idempotency_key("k").await.unwrap();
    for other in [sell(0), sell(1)] {
        let error = engine
            .execute(other)
            .idempotency_key("k")
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ExecuteError::KeyReused { key } if key == "k"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn rejection_looks_up_its_key_once() {
    let (store, engine) = engine_with_cached_state().await;
    let error = engine.execute(sell(11)).idempotency_key("k").await;
    assert!(matches!(error, Err(ExecuteError::Rejected(SoldOut))));
    let expected = Count {
        appends: 0,
        reads: 1, // confirms that the cached state is the current one
        finds: 1,
    };
    assert_eq!(store.count(), expected);
}
