//! Deadlines that decisions set: when they fire, and what moves and cancels them.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/reminders.rs"]
mod reminders;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use factum::clock::Clock as _;
use factum::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum::prelude::*;
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, StoreError,
    Timestamp, async_trait,
};
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty};
use futures_util::future::BoxFuture;
use reminders::{
    DAY, Fire, NotNow, Order, OrderEvent, deadlines, engine, kept, log, place, remind, told,
};
use tokio::sync::watch;

#[tokio::test]
async fn a_deadline_of_thirty_days_fires_at_once_in_virtual_time_and_knows_its_cause() {
    let began = Instant::now();
    let (engine, clock) = engine(MemoryStore::new());
    let order = place("1")
        .tells("placed")
        .tells("seen")
        .sets("pay/ment %", DAY * 30);
    let set = engine.execute(order).by("alice").await.unwrap();
    let running = deadlines(&engine).start();
    clock.advance(DAY * 30 - Duration::from_secs(60));
    running.wait_until_idle().await.unwrap();
    assert_eq!(log(&engine).await.len(), 2);
    clock.advance(Duration::from_secs(60));
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    assert_eq!(told(&engine).await[2..], ["order-1 pay/ment %"]);
    let fired = &log(&engine).await[2].metadata;
    let cause = &set.events()[1];
    assert_eq!(fired.actor.as_deref(), Some("deadline pay/ment %"));
    assert_eq!(fired.causation_id, Some(cause.id));
    assert_eq!(fired.correlation_id, cause.metadata.correlation_id);
    assert!(fired.correlation_id.is_some());
    assert_eq!(kept(&engine).await, []);
    assert!(began.elapsed() < Duration::from_secs(1), "{began:?}");
}

#[tokio::test]
async fn what_was_moved_and_cancelled_leaves_nothing_behind() {
    let (engine, clock) = engine(MemoryStore::new());
    for hours in (1..20).rev() {
        let moved = place("1")
            .tells("moved")
            .sets("a", DAY + Duration::from_secs(hours * 3_600));
        engine.execute(moved).await.unwrap();
    }
    engine.execute(place("1").sets("b", DAY)).await.unwrap();
    engine
        .execute(place("1").cancels("b").cancels("never set"))
        .await
        .unwrap();
    // What a decision says last counts.
    engine
        .execute(place("2").sets("c", DAY).cancels("c"))
        .await
        .unwrap();
    engine
        .execute(place("3").sets("c", DAY).sets("c", DAY * 2))
        .await
        .unwrap();
    let running = deadlines(&engine).start();
    clock.advance(DAY + Duration::from_secs(3_600));
    running.wait_until_idle().await.unwrap();
    assert_eq!(told(&engine).await[19..], ["order-1 a"]);
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    assert_eq!(told(&engine).await[20..], ["order-3 c"]);
    assert_eq!(kept(&engine).await, []);
}

#[tokio::test]
async fn the_command_of_a_deadline_may_set_it_again() {
    let (engine, clock) = engine(MemoryStore::new());
    engine
        .execute(place("1").fires("a", DAY, Fire::Again(3)))
        .await
        .unwrap();
    let running = deadlines(&engine).start();
    for day in 1..=6 {
        clock.advance(DAY + Duration::from_secs(1));
        running.wait_until_idle().await.unwrap();
        assert_eq!(log(&engine).await.len(), day.min(4), "day {day}");
    }
    running.stop().await;
    assert_eq!(kept(&engine).await, []);
}

#[tokio::test]
async fn a_runner_that_sleeps_hears_of_what_is_due_before_it_would_wake() {
    let (engine, clock) = engine(MemoryStore::new());
    engine.execute(place("1").sets("late", DAY)).await.unwrap();
    let running = deadlines(&engine).lease(Duration::from_secs(3_600)).start();
    running.wait_until_idle().await.unwrap();
    let soon = Duration::from_millis(30);
    let began = clock.now();
    engine.execute(place("1").sets("soon", soon)).await.unwrap();
    let mut head = engine.store().watch();
    let fired = tokio::time::timeout(
        Duration::from_secs(60),
        head.wait_for(|head| head.get() == 1),
    );
    fired.await.expect("it fires").unwrap();
    assert!(clock.now().since(began) >= soon);
    running.stop().await;
}

#[tokio::test]
async fn commands_that_go_ahead_of_an_answer_set_theirs() {
    let slow = Faults {
        pauses: 0.9,
        longest_pause: Duration::from_millis(2),
        ..Faults::NONE
    };
    let (engine, clock) = engine(Faulty::new(MemoryStore::new(), 1, slow));
    let orders = (0..40).map(|number| {
        let order = place("1")
            .tells("placed")
            .sets(&format!("own {number}"), DAY)
            .sets("shared", DAY * 2);
        let engine = engine.clone();
        tokio::spawn(async move { engine.execute(order).await.unwrap() })
    });
    for order in orders.collect::<Vec<_>>() {
        order.await.unwrap();
    }
    let last = log(&engine).await[39].id;
    let running = deadlines(&engine).start();
    clock.advance(DAY * 3);
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    let mut fired = told(&engine).await.split_off(40);
    assert_eq!(fired.pop().as_deref(), Some("order-1 shared"));
    fired.sort_unstable();
    let mut expected: Vec<_> = (0..40)
        .map(|number| format!("order-1 own {number}"))
        .collect();
    expected.sort_unstable();
    assert_eq!(fired, expected);
    // The last to be stored is the one that has moved it.
    assert_eq!(log(&engine).await[80].metadata.causation_id, Some(last));
}

/// Sets one for a time, and not for so long after now.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct PlaceAt {
    #[id]
    order: String,
    due: Timestamp,
}

impl Decide for PlaceAt {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        Ok(Events::none().deadline("a", self.due, remind(&self.order, "a")))
    }
}

/// Lets something happen ahead of the first append or change of documents.
struct Overtaken {
    store: MemoryStore,
    meanwhile: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Overtaken {
    fn new(store: MemoryStore, meanwhile: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            store,
            meanwhile: Mutex::new(Some(Box::pin(meanwhile))),
        }
    }

    async fn is_overtaken(&self) {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
    }
}

#[async_trait]
impl EventStore for Overtaken {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.is_overtaken().await;
        self.store.append(append).await
    }

    async fn read(&self, read: factum::Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::delegate!(snapshots, [] Overtaken, |this| this.store);

#[async_trait]
impl DocumentStore for Overtaken {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        self.is_overtaken().await;
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.store.scan_documents(scan).await
    }
}

#[tokio::test]
async fn one_that_is_set_anew_for_the_same_time_while_its_entry_is_swept_stays() {
    let store = MemoryStore::new();
    let (setting, clock) = engine(store.clone());
    let due = clock.now() + DAY;
    let order = "1".to_owned();
    let set = PlaceAt { order, due };
    setting.execute(set.clone()).await.unwrap();
    setting.execute(place("1").cancels("a")).await.unwrap();
    clock.advance(DAY);
    let rival = setting.clone();
    let anew = async move { drop(rival.execute(set).await.unwrap()) };
    let overtaken = Overtaken::new(store, anew);
    let runs = Engine::builder(overtaken).clock(clock.clone()).build();
    let running = deadlines(&runs).start();
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    assert_eq!(told(&setting).await, ["order-1 a"]);
    assert_eq!(kept(&setting).await, []);
}

#[tokio::test]
async fn one_that_is_cancelled_or_moved_right_ahead_of_its_append_does_not_fire() {
    // Without an event, so that no version of a stream stands in the way.
    let cases = [
        (place("1").cancels("a"), [0, 0]),
        (place("1").sets("a", DAY), [0, 1]),
    ];
    for (meanwhile, fired) in cases {
        let store = MemoryStore::new();
        let (setting, clock) = engine(store.clone());
        setting.execute(place("1").sets("a", DAY)).await.unwrap();
        clock.advance(DAY);
        let rival = setting.clone();
        let overtakes = async move { drop(rival.execute(meanwhile).await.unwrap()) };
        let overtaken = Overtaken::new(store, overtakes);
        let runs = Engine::builder(overtaken).clock(clock.clone()).build();
        let running = deadlines(&runs).start();
        for fired in fired {
            running.wait_until_idle().await.unwrap();
            assert_eq!(log(&setting).await.len(), fired);
            clock.advance(DAY);
        }
        running.stop().await;
        assert_eq!(kept(&setting).await, []);
    }
}
