//! Deadlines of decisions: how they fire, move and are cancelled.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/reminders.rs"]
mod reminders;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use factum::engine::Clock as _;
use factum::prelude::*;
use factum::store::async_trait;
use factum::store::{Append, AppendError, Appended, EventStore, IdempotencyKey, Page, StoreError};
use factum::store::{Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan};
use factum::{Position, Timestamp};
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty};
use futures_util::future::BoxFuture;
use reminders::{
    DAY, Fire, NotNow, Order, OrderEvent, deadline_documents, deadlines, engine, log, notes, place,
    remind,
};
use tokio::sync::watch;

#[tokio::test]
async fn deadline_fires_in_virtual_time_and_records_its_cause() {
    let began = Instant::now();
    let (engine, clock) = engine(MemoryStore::new());
    let order = place("1")
        .notes("placed")
        .notes("seen")
        .sets("pay/ment %", DAY * 30);
    let set = engine.execute(order).by("alice").await.unwrap();
    let running = deadlines(&engine).start().await.unwrap();
    clock.advance(DAY * 30 - Duration::from_secs(60));
    running.wait_until_idle().await.unwrap();
    assert_eq!(log(&engine).await.len(), 2);
    clock.advance(Duration::from_secs(60));
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    assert_eq!(notes(&engine).await[2..], ["order-1 pay/ment %"]);
    let fired = &log(&engine).await[2].metadata;
    let cause = &set.events()[1];
    assert_eq!(fired.actor.as_deref(), Some("deadline pay/ment %"));
    assert_eq!(fired.causation_id, Some(cause.id));
    assert_eq!(fired.correlation_id, cause.metadata.correlation_id);
    assert!(fired.correlation_id.is_some());
    assert_eq!(deadline_documents(&engine).await, []);
    assert!(began.elapsed() < Duration::from_secs(1), "{began:?}");
}

#[tokio::test]
async fn moved_and_cancelled_deadlines_leave_no_documents() {
    let (engine, clock) = engine(MemoryStore::new());
    for hours in (1..20).rev() {
        let moved = place("1")
            .notes("moved")
            .sets("a", DAY + Duration::from_secs(hours * 3_600));
        engine.execute(moved).await.unwrap();
    }
    engine.execute(place("1").sets("b", DAY)).await.unwrap();
    engine
        .execute(place("1").cancels("b").cancels("never set"))
        .await
        .unwrap();
    // The last change in a decision wins.
    engine
        .execute(place("2").sets("c", DAY).cancels("c"))
        .await
        .unwrap();
    engine
        .execute(place("3").sets("c", DAY).sets("c", DAY * 2))
        .await
        .unwrap();
    let running = deadlines(&engine).start().await.unwrap();
    clock.advance(DAY + Duration::from_secs(3_600));
    running.wait_until_idle().await.unwrap();
    assert_eq!(notes(&engine).await[19..], ["order-1 a"]);
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    assert_eq!(notes(&engine).await[20..], ["order-3 c"]);
    assert_eq!(deadline_documents(&engine).await, []);
}

#[tokio::test]
async fn pending_deadlines_are_listed_in_order() {
    let (engine, clock) = engine(MemoryStore::new());
    for order in [
        place("1").sets("b", DAY * 2),
        place("2").sets("a", DAY),
        // Moved and cancelled deadlines leave no trace.
        place("1").sets("b", DAY * 3).sets("c", DAY * 5),
        place("1").cancels("c"),
    ] {
        engine.execute(order).await.unwrap();
    }
    let running = deadlines(&engine).start().await.unwrap();
    // The clock runs, so the due times are compared in hours.
    let pending = async |limit| {
        let handle = running.deadlines().unwrap();
        let pending = handle.pending(limit).await.unwrap().into_iter();
        let pending = pending.map(|it| (it.instance, it.due.since(clock.now()).as_secs_f64()));
        let rounded = pending.map(|(instance, due)| (instance, (due / 3_600.0).round() as u64));
        rounded.collect::<Vec<_>>()
    };
    let row = |instance: &str, hours| (instance.to_owned(), hours);
    let both = [row("order-2/a", 24), row("order-1/b", 72)];
    assert_eq!(pending(10).await, both);
    assert_eq!(pending(1).await, both[..1]);
    clock.advance(DAY + Duration::from_secs(1));
    running.wait_until_idle().await.unwrap();
    assert_eq!(pending(10).await, [row("order-1/b", 48)]);
    running.stop().await;
}

#[tokio::test]
async fn deadline_command_can_set_its_deadline_again() {
    let (engine, clock) = engine(MemoryStore::new());
    engine
        .execute(place("1").fires("a", DAY, Fire::Again(3)))
        .await
        .unwrap();
    let running = deadlines(&engine).start().await.unwrap();
    for day in 1..=6 {
        clock.advance(DAY + Duration::from_secs(1));
        running.wait_until_idle().await.unwrap();
        assert_eq!(log(&engine).await.len(), day.min(4), "day {day}");
    }
    running.stop().await;
    assert_eq!(deadline_documents(&engine).await, []);
}

#[tokio::test]
async fn new_deadline_wakes_a_sleeping_runner() {
    let (engine, clock) = engine(MemoryStore::new());
    engine.execute(place("1").sets("late", DAY)).await.unwrap();
    let running = deadlines(&engine).lease(Duration::from_secs(3_600)).start();
    let running = running.await.unwrap();
    running.wait_until_idle().await.unwrap();
    let soon = Duration::from_millis(30);
    let began = clock.now();
    engine.execute(place("1").sets("soon", soon)).await.unwrap();
    let mut head = engine.store().watch();
    let fired = tokio::time::timeout(
        Duration::from_secs(60),
        head.wait_for(|head| head.get() == 1),
    );
    fired.await.expect("the deadline fires").unwrap();
    assert!(clock.now().since(began) >= soon);
    running.stop().await;
}

#[tokio::test]
async fn pipelined_commands_set_their_deadlines() {
    let slow = Faults {
        pauses: 0.9,
        longest_pause: Duration::from_millis(2),
        ..Faults::NONE
    };
    let (engine, clock) = engine(Faulty::new(MemoryStore::new(), 1, slow));
    let orders = (0..40).map(|number| {
        let order = place("1")
            .notes("placed")
            .sets(&format!("own {number}"), DAY)
            .sets("shared", DAY * 2);
        let engine = engine.clone();
        tokio::spawn(async move { engine.execute(order).await.unwrap() })
    });
    for order in orders.collect::<Vec<_>>() {
        order.await.unwrap();
    }
    let last = log(&engine).await[39].id;
    let running = deadlines(&engine).start().await.unwrap();
    clock.advance(DAY * 3);
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    let mut fired = notes(&engine).await.split_off(40);
    assert_eq!(fired.pop().as_deref(), Some("order-1 shared"));
    fired.sort_unstable();
    let mut expected: Vec<_> = (0..40)
        .map(|number| format!("order-1 own {number}"))
        .collect();
    expected.sort_unstable();
    assert_eq!(fired, expected);
    // The shared deadline was moved by the command that was stored last.
    assert_eq!(log(&engine).await[80].metadata.causation_id, Some(last));
}

/// Sets a deadline for an absolute time.
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

/// A store that runs a future before its first append or change of documents.
struct RacingStore {
    store: MemoryStore,
    race: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl RacingStore {
    fn new(store: MemoryStore, race: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            store,
            race: Mutex::new(Some(Box::pin(race))),
        }
    }

    async fn run_race(&self) {
        let race = self.race.lock().unwrap().take();
        if let Some(race) = race {
            race.await;
        }
    }
}

#[async_trait]
impl EventStore for RacingStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.run_race().await;
        self.store.append(append).await
    }

    async fn read(&self, read: factum::store::Read) -> Result<Page, StoreError> {
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

#[async_trait]
impl DocumentStore for RacingStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.run_race().await;
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
async fn deadline_set_again_during_cleanup_still_fires() {
    let store = MemoryStore::new();
    let (setting, clock) = engine(store.clone());
    let due = clock.now() + DAY;
    let order = "1".to_owned();
    let set = PlaceAt { order, due };
    setting.execute(set.clone()).await.unwrap();
    setting.execute(place("1").cancels("a")).await.unwrap();
    clock.advance(DAY);
    let rival = setting.clone();
    let set_again = async move { drop(rival.execute(set).await.unwrap()) };
    let racing = RacingStore::new(store, set_again);
    let runs = Engine::builder(racing).clock(clock.clone()).build();
    let running = deadlines(&runs).start().await.unwrap();
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    assert_eq!(notes(&setting).await, ["order-1 a"]);
    assert_eq!(deadline_documents(&setting).await, []);
}

#[tokio::test]
async fn deadline_changed_just_before_its_append_does_not_fire() {
    // The command stores no event, so the stream version does not cause a conflict.
    let cases = [
        (place("1").cancels("a"), [0, 0]),
        (place("1").sets("a", DAY), [0, 1]),
    ];
    for (change, fired) in cases {
        let store = MemoryStore::new();
        let (setting, clock) = engine(store.clone());
        setting.execute(place("1").sets("a", DAY)).await.unwrap();
        clock.advance(DAY);
        let rival = setting.clone();
        let concurrent = async move { drop(rival.execute(change).await.unwrap()) };
        let racing = RacingStore::new(store, concurrent);
        let runs = Engine::builder(racing).clock(clock.clone()).build();
        let running = deadlines(&runs).start().await.unwrap();
        for fired in fired {
            running.wait_until_idle().await.unwrap();
            assert_eq!(log(&setting).await.len(), fired);
            clock.advance(DAY);
        }
        running.stop().await;
        assert_eq!(deadline_documents(&setting).await, []);
    }
}
