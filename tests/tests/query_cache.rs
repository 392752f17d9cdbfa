//! The cached states of DCB queries: the events that they cost, and the cases in which they must not be used.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use factum::Position;
use factum::prelude::*;
use factum::store::async_trait;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Read, StoreError,
};
use factum_memory::MemoryStore;
use tokio::sync::watch;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "course")]
enum CourseEvent {
    Enrolled {
        #[tag]
        course: u32,
        student: u32,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "student", id = u32, event = CourseEvent)]
struct Student;

impl Apply<CourseEvent> for Student {
    fn apply(&mut self, _: &CourseEvent) {}
}

/// The students of a course. It cannot be cloned.
#[derive(Debug, Default)]
struct Enrolled(Vec<u32>);

static PANICS: AtomicBool = AtomicBool::new(false);

impl Apply<CourseEvent> for Enrolled {
    fn apply(&mut self, event: &CourseEvent) {
        let CourseEvent::Enrolled { student, .. } = event;
        self.0.push(*student);
        assert!(*student != 13_013 || !PANICS.load(SeqCst), "unlucky");
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the course has {0} students: {1:?}")]
struct Full(usize, Vec<u32>);

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Student, query = Enrolled)]
struct Enrol {
    #[id]
    student: u32,
    #[tag]
    course: u32,
    limit: usize,
}

impl Decide for Enrol {
    type Error = Full;
    fn decide(&self, (_, enrolled): (&Student, &Enrolled)) -> Result<Events<CourseEvent>, Full> {
        let students = &enrolled.0;
        if students.len() >= self.limit {
            return Err(Full(students.len(), students.clone()));
        }
        let (course, student) = (self.course, self.student);
        Ok(CourseEvent::Enrolled { course, student }.into())
    }
}

fn enrol(student: u32, course: u32) -> Enrol {
    Enrol {
        student,
        course,
        limit: usize::MAX,
    }
}

/// A store that counts the events that were read by a query.
#[derive(Clone, Default)]
struct CountingStore {
    store: MemoryStore,
    events: Arc<AtomicUsize>,
}

#[async_trait]
impl EventStore for CountingStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let is_query = matches!(read.scope, factum::store::Scope::All(_));
        let page = self.store.read(read).await?;
        if is_query {
            self.events.fetch_add(page.events.len(), SeqCst);
        }
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] CountingStore, |this| this.store);
factum::store::delegate!(documents, [] CountingStore, |this| this.store);

impl CountingStore {
    /// Returns the number of events that were read since the last count.
    fn count(&self) -> usize {
        self.events.swap(0, SeqCst)
    }
}

/// Returns the students of a course, by a decision that is rejected.
async fn students(engine: &Engine, course: u32) -> Vec<u32> {
    let command = Enrol {
        limit: 0,
        ..enrol(99, course)
    };
    match engine.execute(command).await {
        Err(ExecuteError::Rejected(Full(_, students))) => students,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn second_decision_reads_only_newer_events() {
    let store = CountingStore::default();
    let elsewhere = Engine::new(store.store.clone());
    for student in 0..2_500 {
        elsewhere.execute(enrol(student, 1)).await.unwrap();
    }
    let engine = Engine::new(store.clone());
    engine.execute(enrol(2_500, 1)).await.unwrap();
    assert_eq!(store.count(), 2_500);
    engine.execute(enrol(2_501, 1)).await.unwrap();
    assert_eq!(store.count(), 1, "the event of the last decision");
    elsewhere.execute(enrol(2_502, 1)).await.unwrap();
    elsewhere.execute(enrol(2_503, 2)).await.unwrap();
    engine.execute(enrol(2_504, 1)).await.unwrap();
    assert_eq!(store.count(), 2, "one of this engine, one of the other");
    engine.execute(enrol(2_505, 2)).await.unwrap();
    assert_eq!(store.count(), 1, "another course has another state");
    let expected: Vec<u32> = (0..=2_504).filter(|student| *student != 2_503).collect();
    assert_eq!(students(&engine, 1).await, expected);
    assert_eq!(students(&engine, 2).await, [2_503, 2_505]);
}

#[tokio::test]
async fn cache_without_capacity_reads_all_events() {
    let store = CountingStore::default();
    let engine = Engine::builder(store.clone()).cache_capacity(0).build();
    for student in 0..3 {
        engine.execute(enrol(student, 1)).await.unwrap();
        assert_eq!(store.count(), student as usize);
    }
}

#[tokio::test]
async fn evicted_streams_evict_the_states_of_queries() {
    let store = CountingStore::default();
    let engine = Engine::new(store.clone());
    let receipt = engine.execute(enrol(1, 1)).await.unwrap();
    engine.execute(enrol(2, 1)).await.unwrap();
    store.count();
    engine.evict([&receipt.events()[0].stream]);
    engine.execute(enrol(3, 1)).await.unwrap();
    assert_eq!(store.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_commands_keep_the_limit_of_a_query() {
    let store = CountingStore::default();
    let engines = [Engine::new(store.clone()), Engine::new(store.clone())];
    let commands = (0..200).map(|student| {
        let engine = engines[student as usize % 2].clone();
        tokio::spawn(async move {
            let command = Enrol {
                limit: 20,
                ..enrol(student, 1)
            };
            loop {
                match engine.execute(command.clone()).await {
                    Ok(_) => return true,
                    Err(ExecuteError::Rejected(_)) => return false,
                    Err(ExecuteError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    let mut accepted = 0;
    for command in commands.collect::<Vec<_>>() {
        accepted += usize::from(command.await.unwrap());
    }
    assert_eq!(accepted, 20);
    assert_eq!(students(&engines[0], 1).await.len(), 20);
    assert_eq!(
        store.count() % 20,
        0,
        "each engine has read each event once"
    );
}

#[tokio::test]
async fn state_is_built_again_after_a_panic() {
    let store = MemoryStore::new();
    let (engine, elsewhere) = (Engine::new(store.clone()), Engine::new(store));
    for student in [1, 13_013] {
        elsewhere.execute(enrol(student, 7)).await.unwrap();
    }
    PANICS.store(true, SeqCst);
    let failed = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.execute(enrol(2, 7)).await })
    };
    assert!(failed.await.unwrap_err().is_panic());
    PANICS.store(false, SeqCst);
    assert_eq!(students(&engine, 7).await, [1, 13_013]);
}
