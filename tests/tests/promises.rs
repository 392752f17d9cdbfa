//! Promises seen from a user's side, on each store: all or nothing, one wins, a snapshot changes no answer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factum::prelude::*;
use factum::{Query, Read, Snapshot, Store, Version};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "pot")]
enum PotEvent {
    Filled { amount: i64 },
    Emptied { amount: i64 },
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "pot", id = u32, event = PotEvent, snapshot(every = 10))]
struct Pot {
    level: i64,
}

impl Apply<PotEvent> for Pot {
    fn apply(&mut self, event: &PotEvent) {
        match event {
            PotEvent::Filled { amount } => self.level += amount,
            PotEvent::Emptied { amount } => self.level -= amount,
        }
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Pot)]
struct Fill {
    #[id]
    pot: u32,
    amount: i64,
}

impl Decide for Fill {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Pot) -> Result<Events<PotEvent>, Self::Error> {
        let amount = self.amount;
        Ok(PotEvent::Filled { amount }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = (Pot, Pot))]
struct Pour {
    #[id]
    from: u32,
    #[id]
    to: u32,
}

type Both = (Events<PotEvent>, Events<PotEvent>);

impl Decide for Pour {
    type Error = std::convert::Infallible;
    fn decide(&self, _: (&Pot, &Pot)) -> Result<Both, Self::Error> {
        let emptied = PotEvent::Emptied { amount: 1 };
        Ok((emptied.into(), PotEvent::Filled { amount: 1 }.into()))
    }
}

async fn sqlite() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("pots.db")).await;
    (folder, store.unwrap())
}

/// What is in all pots together, as far as one page shows.
async fn sum(store: &impl Store) -> i64 {
    let page = store.read(Read::all(Query::all())).await.unwrap();
    assert!(!page.more, "one page holds it all");
    let events = page.events.iter().map(|event| event.decode().unwrap());
    events
        .map(|event| match event {
            PotEvent::Filled { amount } => amount,
            PotEvent::Emptied { amount } => -amount,
        })
        .sum()
}

async fn no_reader_sees_half_of_an_append(store: impl Store + Clone) {
    let engine = Engine::new(store.clone());
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let done = done.clone();
        async move {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(sum(&store).await, 0);
                tokio::task::yield_now().await;
            }
            sum(&store).await
        }
    });
    let mut pours = tokio::task::JoinSet::new();
    for number in 0..400 {
        let engine = engine.clone();
        let (from, to) = (number % 7, 7 + number % 5);
        pours.spawn(async move { engine.execute(Pour { from, to }).await.unwrap() });
    }
    pours.join_all().await;
    done.store(true, Ordering::Relaxed);
    assert_eq!(reader.await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_half_of_an_append_in_memory() {
    no_reader_sees_half_of_an_append(MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_half_of_an_append_on_sqlite() {
    let (_folder, store) = sqlite().await;
    no_reader_sees_half_of_an_append(store).await;
}

/// Every command comes from an engine of its own, as from processes that know nothing of each other.
async fn of_many_that_expect_one_version_one_wins(store: impl Store + Clone) {
    let mut fills = tokio::task::JoinSet::new();
    for number in 0..100 {
        let engine = Engine::new(store.clone());
        let pot = number / 50;
        let fill = Fill { pot, amount: 1 };
        fills.spawn(async move { engine.execute(fill).expecting(0).await });
    }
    let (mut won, mut conflicts) = (0, 0);
    for answer in fills.join_all().await {
        match answer {
            Ok(_) => won += 1,
            Err(ExecuteError::Conflict { .. }) => conflicts += 1,
            Err(error) => panic!("{error}"),
        }
    }
    // Two pots: one winner in each, and neither disturbs the other.
    assert_eq!((won, conflicts), (2, 98));
    assert_eq!(sum(&store).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_expect_one_version_one_wins_in_memory() {
    of_many_that_expect_one_version_one_wins(MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_expect_one_version_one_wins_on_sqlite() {
    let (_folder, store) = sqlite().await;
    of_many_that_expect_one_version_one_wins(store).await;
}

/// Fills the pot, replaces its snapshot, and tells what an engine without warm states then finds.
async fn found_with(
    store: &(impl Store + Clone),
    pot: u32,
    replace: impl FnOnce(Snapshot) -> Snapshot,
) -> (i64, Version) {
    let engine = Engine::new(store.clone());
    for amount in 1..=25 {
        engine.execute(Fill { pot, amount }).await.unwrap();
    }
    let stream = Pot::stream(&pot).unwrap();
    // Taken behind the caller's back; the test lets that task run until it has come to the newest.
    let taken = loop {
        match store.load_snapshot(&stream).await.unwrap() {
            Some(taken) if taken.version == Version::new(20) => break taken,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(&taken.data[..], br#"{"level":210}"#);
    store.save_snapshot(replace(taken)).await.unwrap();
    let engine = Engine::builder(store.clone()).warm_states(0).build();
    let found = engine.load::<Pot>(&pot).await.unwrap();
    (found.level, found.version())
}

async fn a_snapshot_changes_no_answer(store: impl Store + Clone) {
    let replayed = (325, Version::new(25));
    assert_eq!(found_with(&store, 1, |taken| taken).await, replayed);

    // It is used: a wrong one of the right form shows.
    let wrong = |taken| Snapshot {
        data: br#"{"level":1210}"#[..].into(),
        ..taken
    };
    let misled = (1325, Version::new(25));
    assert_eq!(found_with(&store, 2, wrong).await, misled);

    let broken = |taken| Snapshot {
        data: b"{"[..].into(),
        ..taken
    };
    assert_eq!(found_with(&store, 3, broken).await, replayed);

    let of_another_form = |taken| Snapshot {
        schema_version: 2,
        data: br#"{"level":0}"#[..].into(),
        ..taken
    };
    assert_eq!(found_with(&store, 4, of_another_form).await, replayed);

    store.clear_snapshots().await.unwrap();
    let engine = Engine::builder(store).warm_states(0).build();
    assert_eq!(engine.load::<Pot>(&2).await.unwrap().level, 325);
}

#[tokio::test]
async fn a_snapshot_changes_no_answer_in_memory() {
    a_snapshot_changes_no_answer(MemoryStore::new()).await;
}

#[tokio::test]
async fn a_snapshot_changes_no_answer_on_sqlite() {
    let (_folder, store) = sqlite().await;
    a_snapshot_changes_no_answer(store).await;
}
