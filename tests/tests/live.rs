//! Live queries of in-memory projections: a result and its changes, with concurrent writers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::pin;
use std::time::Duration;

use factum::Position;
use factum::engine::{RetryPolicy, Subscription};
use factum::prelude::*;
use factum::runtime::WaitError;
use factum::store::{Append, ContentType, ExpectedVersion, NewEvent, Query};
use factum_memory::MemoryStore;
use factum_tests::load::{Fill, JarEvent};
use futures_util::{FutureExt as _, StreamExt as _};

/// The number of all events, and of the events of the shared jar.
#[derive(Projection, Default)]
#[projection(name = "totals", events = JarEvent)]
struct Totals {
    all: u64,
    shared: u64,
}

impl Project<JarEvent> for Totals {
    fn project(&mut self, event: &Recorded<JarEvent>) {
        self.all += 1;
        self.shared += u64::from(event.record.stream.key() == "shared");
    }
}

async fn write(engine: &Engine, writers: u64) -> Position {
    let tasks = (0..writers).map(|writer| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let mut last = 0;
            for turn in 0..40 {
                let fill = Fill::new(&format!("w{writer}"), turn);
                last = fill.execute(&engine).await.unwrap().position;
            }
            last
        })
    });
    let mut last = 0;
    for task in tasks.collect::<Vec<_>>() {
        last = last.max(task.await.unwrap());
    }
    Position::new(last)
}

/// Returns the results up to the result `last`, which must arrive.
async fn until<R>(
    live: impl futures_util::Stream<Item = Result<(R, Position), WaitError>>,
    last: u64,
) -> Vec<(R, u64)>
where
    R: Copy + Into<u64>,
{
    let mut live = pin!(live);
    let mut seen = Vec::new();
    let all = async {
        while let Some(next) = live.next().await {
            let (result, at) = next.unwrap();
            seen.push((result, at.get()));
            if result.into() == last {
                return;
            }
        }
        panic!("the stream ended");
    };
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .unwrap();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_query_returns_result_and_every_change() {
    let engine = Engine::new(MemoryStore::new());
    let model = InMemory::<Totals>::new();
    let runtime = Runtime::builder(&engine)
        .projection(model.clone())
        .start()
        .await
        .unwrap();
    let mut empty = pin!(model.live(|totals| totals.all));
    assert_eq!(empty.next().await, Some(Ok((0, Position::ZERO))));
    let live = model.live(|totals| totals.all);
    let written = 4 * (2 * 40 + 2 * 26 + 2 * 13);
    let (last, seen) = tokio::join!(write(&engine, 4), until(live, written));
    assert_eq!(last.get(), written);
    // The number of events equals the position of the last event, so each result is complete and arrives once.
    assert!(seen.iter().all(|(all, at)| all == at), "{seen:?}");
    assert!(
        seen.windows(2).all(|pair| pair[0].1 < pair[1].1),
        "{seen:?}"
    );

    // A live query can continue after a known position, also on a rebuilt read model.
    assert!(seen.len() > 1, "{seen:?}");
    let (shared, at) = seen[(seen.len() - 1) / 2];
    let mut later = pin!(model.live_after(Position::new(at), |totals| totals.all));
    assert_eq!(later.next().await, Some(Ok((written, last))), "{shared}");
    let refilled = InMemory::<Totals>::new();
    let later = refilled.live_after(Position::new(at), |totals| totals.all);
    let again = Runtime::builder(&engine)
        .projection(refilled.clone())
        .start()
        .await
        .unwrap();
    let seen = until(later, written).await;
    assert!(seen[0].1 > at, "{seen:?}");

    // An event that does not change the result, and a rebuild, cause no new result.
    let mut shared = pin!(model.live(|totals| totals.shared));
    let (before, _) = shared.next().await.unwrap().unwrap();
    let receipt = Fill::new("alone", 0).execute(&engine).await.unwrap();
    runtime
        .wait_for(Position::new(receipt.position))
        .await
        .unwrap();
    let handle = runtime.projection::<Totals>().unwrap();
    handle.rebuild().await.unwrap();
    let receipt = Fill::new("alone", 1).execute(&engine).await.unwrap();
    let next = tokio::time::timeout(Duration::from_secs(30), shared.next()).await;
    assert_eq!(next.unwrap().unwrap().unwrap().0, before + 2, "{receipt}");

    // After a reset, no result arrives until the position is after that of the previous result.
    handle.pause().await.unwrap();
    handle.reset().await.unwrap();
    assert_eq!(model.read(|totals| totals.shared), 0);
    assert_eq!(shared.next().now_or_never(), None);
    handle.resume().await.unwrap();
    Fill::new("alone", 1).execute(&engine).await.unwrap();
    let next = tokio::time::timeout(Duration::from_secs(30), shared.next()).await;
    assert_eq!(next.unwrap().unwrap().unwrap().0, before + 4);
    runtime.stop().await;
    again.stop().await;
    let ended = shared.next().await.unwrap().unwrap_err();
    assert!(matches!(ended, WaitError::ShutDown { .. }), "{ended}");
    assert_eq!(shared.next().await, None);
    // A runtime and its handles keep the read model, too.
    let mut shared = pin!(model.live_after(Position::MAX, |totals| totals.shared));
    drop((model, handle, runtime));
    // A task of the runtime may drop the read model last. Until then, the live query reports the end of the runtime.
    let end = match shared.next().await {
        Some(Err(WaitError::ShutDown { .. })) => shared.next().await,
        end => end,
    };
    assert_eq!(end, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_result_and_later_events_are_complete() {
    let engine = Engine::new(MemoryStore::new());
    let model = InMemory::<Totals>::new();
    let runtime = Runtime::builder(&engine)
        .projection(model.clone())
        .start()
        .await
        .unwrap();
    let writing = tokio::spawn({
        let engine = engine.clone();
        async move { write(&engine, 4).await }
    });
    let mut live = pin!(model.live(|totals| totals.all));
    let (mut all, mut at) = (0, Position::ZERO);
    while all < 100 {
        (all, at) = live.next().await.unwrap().unwrap();
    }
    let last = writing.await.unwrap();
    let store = engine.store().clone();
    let mut rest = Subscription::new(store, Query::all(), at);
    while rest.position() < last {
        all += rest.next_page().await.unwrap().events.len() as u64;
    }
    assert_eq!(all, last.get());
    runtime.stop().await;
}

/// The number of events, counted in each partition.
#[derive(Projection, Default)]
#[projection(name = "apart", events = JarEvent, partitions = 4)]
struct PerPartition(u64);

impl Project<JarEvent> for PerPartition {
    fn project(&mut self, _: &Recorded<JarEvent>) {
        self.0 += 1;
    }
}

/// Appends an event to a jar.
async fn put(engine: &Engine, jar: u64, data: &'static str) {
    let event = NewEvent {
        id: uuid::Uuid::now_v7(),
        name: "jar.filled".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: data.into(),
        tags: Vec::new(),
        metadata: std::sync::Arc::default(),
        personal: Vec::new(),
    };
    let stream = format!("jar-{jar}").parse().unwrap();
    let append = Append::stream(stream, ExpectedVersion::Any, vec![event]);
    engine.store().append(append).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_position_is_reached_by_every_partition() {
    let engine = Engine::new(MemoryStore::new());
    put(&engine, 0, "invalid").await;
    let valid = r#"{"command":"a","count":1}"#;
    for jar in 1..=40 {
        put(&engine, jar, valid).await;
    }
    // The first event blocks one partition.
    let (attempts, hour) = (100, Duration::from_secs(3_600));
    let stuck = RetryPolicy {
        attempts,
        base: hour,
        cap: hour,
    };
    let model = InMemory::<PerPartition>::new();
    let builder = Runtime::builder(&engine).retry(stuck);
    let runtime = builder.projection(model.clone()).start().await.unwrap();
    let mut live = pin!(model.live(|apart| apart.0));
    let (mut seen, mut at) = (0, Position::ZERO);
    let some = async {
        while seen < 20 {
            (seen, at) = live.next().await.unwrap().unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), some)
        .await
        .unwrap();
    assert_eq!(at, Position::ZERO, "{seen}");
    drop(runtime);

    // A live query that continues after this position misses nothing.
    let refilled = InMemory::<PerPartition>::new();
    let later = refilled.live_after(at, |apart| apart.0);
    let once = RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    };
    let builder = Runtime::builder(&engine).retry(once);
    let again = builder.projection(refilled.clone()).start().await.unwrap();
    let seen = until(later, 40).await;
    assert!(seen.is_sorted_by_key(|(_, at)| *at), "{seen:?}");
    // The last partition may reach the head without an event of its own.
    let later = refilled.live_after(Position::new(40), |apart| apart.0);
    assert_eq!(until(later, 40).await, [(40, 41)]);
    again.stop().await;
}
