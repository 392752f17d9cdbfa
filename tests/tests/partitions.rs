//! Partitions: one projection processes its streams in parallel.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/server.rs"]
mod server;

use std::time::{Duration, Instant};

use factum::Position;
use factum::prelude::*;
use factum::runtime::FailurePolicy;
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::{Fill, JarEvent};

async fn fill(engine: &Engine) -> Position {
    let mut last = 0;
    for turn in 0..40 {
        let fill = Fill::new(&format!("w{}", turn % 10), turn);
        last = fill.execute(engine).await.unwrap().position;
    }
    Position::new(last)
}

/// Projects all events with `P` partitions, checks the table, and returns the elapsed time.
async fn project<const P: u16>(place: &str, slow: Duration) -> Duration {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&engine).await;
    let count = Count::<1, P> {
        delay: slow,
        ..Count::default()
    };
    let began = Instant::now();
    let runtime = count
        .on(
            &backend,
            Runtime::builder(&engine),
            FailurePolicy::DeadLetter,
        )
        .start()
        .await
        .unwrap();
    runtime.wait_for(last).await.unwrap();
    let elapsed = began.elapsed();
    assert_eq!(runtime.status()[0].nodes.len(), usize::from(P));
    let events = check::all_events(&engine).await;
    assert_eq!(
        backend.jars().await.unwrap(),
        check::expected_jars(&events, last)
    );
    runtime.stop().await;
    backend.close().await;
    elapsed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_projects_each_event_once_in_order() {
    project::<5>(&databases::file().url, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_partitions_are_faster_than_one() {
    let (Some(one), Some(two)) = (databases::schema("single"), databases::schema("split")) else {
        return;
    };
    let slow = Duration::from_millis(10);
    let single = project::<1>(&one.url, slow).await;
    let split = project::<2>(&two.url, slow).await;
    // The split depends only on the stream names, which are fixed, so the ratio is stable.
    assert!(split < single * 3 / 4, "{split:?} instead of {single:?}");
}

/// Counts the events of each stream and asserts their order.
#[derive(Projection, Default)]
#[projection(name = "spread", events = JarEvent, partitions = 4)]
struct Spread {
    versions: std::collections::HashMap<String, u64>,
}

impl Project<JarEvent> for Spread {
    fn project(&mut self, event: &Recorded<JarEvent>) {
        let stream = event.record.stream.to_string();
        let version = self.versions.entry(stream).or_default();
        *version += 1;
        assert_eq!(*version, event.record.version.get());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_projects_each_event_once_in_order() {
    let engine = Engine::new(factum_memory::MemoryStore::new());
    let model = InMemory::<Spread>::new();
    let runtime = Runtime::builder(&engine)
        .projection(model.clone())
        .start()
        .await
        .unwrap();
    let last = fill(&engine).await;
    runtime.wait_for(last).await.unwrap();
    assert_eq!(runtime.status()[0].nodes.len(), 4);
    let projected = model.read(|spread| spread.versions.values().sum::<u64>());
    assert_eq!(projected, last.get());
    runtime.stop().await;
}
