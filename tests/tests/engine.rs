//! The engine on the memory store: conflicts, DCB queries, idempotency keys and projections.

use factum::prelude::*;
use factum::runtime::ConsumerState;
use factum::store::Conflict;
use factum::{Position, Version};
use factum_memory::MemoryStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "seat")]
enum SeatEvent {
    Taken {
        #[tag]
        course: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "seat", id = u32, event = SeatEvent, snapshot(every = 2))]
struct Seat {
    taken: u32,
}

impl Apply<SeatEvent> for Seat {
    fn apply(&mut self, _: &SeatEvent) {
        self.taken += 1;
    }
}

/// The number of taken seats of a course, over all seat streams.
#[derive(Debug, Default)]
struct Course {
    taken: u32,
}

impl Apply<SeatEvent> for Course {
    fn apply(&mut self, _: &SeatEvent) {
        self.taken += 1;
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the course is full")]
struct Full;

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Seat, query = Course)]
struct Enrol {
    #[id]
    seat: u32,
    #[tag]
    course: String,
    limit: u32,
}

impl Decide for Enrol {
    type Error = Full;
    fn decide(&self, (_, course): (&Seat, &Course)) -> Result<Events<SeatEvent>, Full> {
        if course.taken >= self.limit {
            return Err(Full);
        }
        Ok(SeatEvent::Taken {
            course: self.course.clone(),
        }
        .into())
    }
}

#[derive(Projection, Default)]
#[projection(name = "seats", events = SeatEvent)]
struct Seats {
    taken: u32,
}

impl Project<SeatEvent> for Seats {
    fn project(&mut self, _: &Recorded<SeatEvent>) {
        self.taken += 1;
    }
}

fn enrol(seat: u32, limit: u32) -> Enrol {
    Enrol {
        seat,
        course: "math".to_owned(),
        limit,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dcb_query_enforces_limit_across_streams_and_engines() {
    let store = MemoryStore::new();
    let tasks = (0..40).map(|seat| {
        let engine = Engine::builder(store.clone())
            .retry(factum::engine::RetryPolicy {
                attempts: 1_000,
                ..Default::default()
            })
            .build();
        tokio::spawn(async move { engine.execute(enrol(seat, 10)).await })
    });
    let (mut taken, mut rejected) = (0, 0);
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(_) => taken += 1,
            Err(ExecuteError::Rejected(Full)) => rejected += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((taken, rejected), (10, 30));
}

#[tokio::test]
async fn unexpected_version_conflicts_and_stores_nothing() {
    let engine = Engine::new(MemoryStore::new());
    engine.execute(enrol(1, 10)).await.unwrap();
    let error = engine
        .execute(enrol(1, 10))
        .expected_version(0)
        .await
        .unwrap_err();
    let ExecuteError::Conflict {
        conflict: Conflict { violations },
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(violations.len(), 1);
    assert_eq!(
        engine.load::<Seat>(&1).await.unwrap().version(),
        Version::new(1)
    );
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Seat)]
struct Keep {
    #[id]
    seat: u32,
}

impl Decide for Keep {
    type Error = Full;
    fn decide(&self, _: &Seat) -> Result<Events<SeatEvent>, Full> {
        Ok(Events::none())
    }
}

#[tokio::test]
async fn command_without_events_uses_current_cached_state() {
    let engine = Engine::new(MemoryStore::new());
    let taken = engine.execute(enrol(1, 10)).await.unwrap();
    let kept = engine.execute(Keep { seat: 1 }).await.unwrap();
    assert_eq!((kept.events().len(), kept.attempts()), (0, 1));
    assert_eq!(
        (kept.position(), kept.version()),
        (taken.position(), taken.version())
    );
}

#[tokio::test]
async fn idempotency_key_returns_first_receipt() {
    let engine = Engine::new(MemoryStore::new());
    let first = engine
        .execute(enrol(1, 1))
        .idempotency_key("k")
        .await
        .unwrap();
    let again = engine
        .execute(enrol(1, 1))
        .idempotency_key("k")
        .await
        .unwrap();
    assert!(again.repeated());
    assert_eq!(
        (again.events(), again.position()),
        (first.events(), first.position())
    );
    let other = engine.execute(enrol(2, 1)).idempotency_key("k").await;
    assert!(matches!(other, Err(ExecuteError::KeyReused { .. })));
}

#[tokio::test]
async fn stale_cached_state_is_reloaded() {
    let store = MemoryStore::new();
    let (one, two) = (Engine::new(store.clone()), Engine::new(store));
    one.execute(enrol(1, 10)).await.unwrap();
    two.execute(enrol(1, 10)).await.unwrap();
    assert_eq!(one.load::<Seat>(&1).await.unwrap().taken, 2);
    let receipt = one.execute(enrol(1, 10)).await.unwrap();
    assert_eq!(
        (receipt.version(), receipt.position()),
        (Version::new(3), Position::new(3))
    );
    let early = one
        .load::<Seat>(&1)
        .at_position(Position::new(1))
        .await
        .unwrap();
    assert_eq!((early.taken, early.version()), (1, Version::new(1)));
}

#[tokio::test]
async fn projection_catches_up_and_rebuilds_to_same_state() {
    let engine = Engine::new(MemoryStore::new());
    engine.execute(enrol(1, 10)).await.unwrap();
    let seats = InMemory::<Seats>::new();
    let runtime = Runtime::builder(&engine)
        .projection(seats.clone())
        .start()
        .await
        .unwrap();
    let receipt = engine.execute(enrol(2, 10)).await.unwrap();
    runtime.wait_for(receipt.position()).await.unwrap();
    assert_eq!(seats.read(|seats| seats.taken), 2);
    runtime
        .projection::<Seats>()
        .unwrap()
        .rebuild()
        .await
        .unwrap();
    runtime.wait_for(receipt.position()).await.unwrap();
    assert_eq!(seats.read(|seats| seats.taken), 2);
    let status = &runtime.status()[0];
    assert_eq!((status.state, status.lag()), (ConsumerState::Live, 0));
    runtime.stop().await;
}
