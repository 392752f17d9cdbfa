//! Commands and subscriptions outside of a Tokio runtime give their result or a clear error, and never panic.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::IntoFuture as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use factum::Position;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::store::{Query, StoreError};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;
use factum_testkit::{Faults, Faulty};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    Rung {
        #[tag]
        tower: u32,
    },
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "bell", id = u32, event = BellEvent, snapshot(every = 1))]
struct Bell {
    rung: u32,
}

impl Apply<BellEvent> for Bell {
    fn apply(&mut self, _: &BellEvent) {
        self.rung += 1;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Bell, query = Bell)]
struct Ring {
    #[id]
    bell: u32,
    #[tag]
    tower: u32,
}

impl Decide for Ring {
    type Error = Infallible;
    fn decide(&self, _: (&Bell, &Bell)) -> Result<Events<BellEvent>, Infallible> {
        Ok(BellEvent::Rung { tower: self.tower }.into())
    }
}

/// A command without a DCB query, which is decided on a cached state.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Bell)]
struct RingAgain(#[id] u32);

impl Decide for RingAgain {
    type Error = Infallible;
    fn decide(&self, _: &Bell) -> Result<Events<BellEvent>, Infallible> {
        Ok(BellEvent::Rung { tower: 1 }.into())
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, without a Tokio runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn check_commands(engine: &Engine, other: &Engine) {
    block_on(async {
        let ring = || engine.execute(Ring { bell: 1, tower: 1 });
        ring().idempotency_key("k").await.unwrap();
        assert!(ring().idempotency_key("k").await.unwrap().repeated());
        engine.execute(RingAgain(1)).await.unwrap();
        // The cache of the first engine is stale, so its append conflicts and is retried.
        other.execute(RingAgain(1)).await.unwrap();
        let receipt = engine.execute(RingAgain(1)).await.unwrap();
        assert_eq!(receipt.attempts(), 2);
        let conflict = engine.execute(RingAgain(1)).expected_version(1).await;
        assert!(matches!(
            conflict,
            Err(ExecuteError::Conflict { attempts: 0, .. })
        ));
        assert_eq!(engine.load::<Bell>(&1).await.unwrap().rung, 4);
        assert_eq!(engine.load::<Bell>(&1).at_version(2).await.unwrap().rung, 2);
        assert_eq!(engine.history::<Bell>(&1).await.unwrap().len(), 4);
    });
}

fn check_subscription(engine: &Engine, other: &Engine) {
    let mut subscription = engine.subscribe(Query::all(), Position::ZERO).page_size(3);
    let mut next = || block_on(subscription.next_page()).unwrap().events.len();
    assert_eq!((next(), next()), (3, 1));
    let other = other.clone();
    let ringing =
        thread::spawn(move || block_on(other.execute(RingAgain(2)).into_future()).unwrap());
    assert_eq!(next(), 1);
    ringing.join().unwrap();
}

#[test]
fn memory_store_works_without_a_runtime() {
    let store = MemoryStore::new();
    let engines = [0, 1].map(|_| Engine::new(store.clone()));
    check_commands(&engines[0], &engines[1]);
    check_subscription(&engines[0], &engines[1]);
}

#[test]
fn outage_without_a_runtime_is_an_error() {
    let faults = Faults {
        rejected: 1.0,
        ..Faults::NONE
    };
    let engine = Engine::builder(Faulty::new(MemoryStore::new(), 1, faults))
        .retry(RetryPolicy::default())
        .build();
    let error = block_on(engine.execute(RingAgain(1)).into_future()).unwrap_err();
    assert!(
        matches!(error, ExecuteError::Store(StoreError::Unavailable(_))),
        "{error}"
    );
}

#[test]
fn sqlite_store_without_a_runtime_is_an_error() {
    let error = block_on(SqliteStore::temporary()).unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[test]
fn sqlite_store_opened_in_a_runtime_works_outside() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let store = runtime.block_on(SqliteStore::temporary()).unwrap();
    let engines = [0, 1].map(|_| Engine::new(store.clone()));
    check_commands(&engines[0], &engines[1]);
    check_subscription(&engines[0], &engines[1]);
    block_on(store.close());
    let closed = block_on(engines[0].execute(RingAgain(1)).into_future());
    assert!(matches!(
        closed,
        Err(ExecuteError::Store(StoreError::Closed))
    ));
}
