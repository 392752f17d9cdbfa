//! Live queries of tables: rows as of each position, during writes, projection and promotion of a new build.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::engine::{RetryPolicy, Subscription};
use factum::prelude::*;
use factum::runtime::FailurePolicy;
use factum::store::{Query, RecordedEvent};
use factum_sqlite::{SqlError, SqlReadModel, View};
use factum_tests::backend::{Backend, Jars};
use factum_tests::count::Count;
use factum_tests::load::{Fill, PATIENT};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::JoinHandle;

/// The table of the active build, and its rows.
type Rows = (String, Jars);
type Row = (String, i64, i64);

async fn rows(mut view: View) -> Result<Rows, SqlError> {
    let table: String = view.query("select '{jar}'").fetch_one().await?;
    let rows = view.query("select stream, count, digest from {jar}");
    let rows: Vec<Row> = rows.fetch_all().await?;
    let jars = rows
        .into_iter()
        .map(|(stream, count, digest)| (stream, (count, digest)));
    Ok((table, jars.collect()))
}

fn model<const P: u16>(backend: &Backend) -> SqlReadModel {
    let count = Count::<1, P>::default();
    match backend {
        Backend::Sqlite(store) => store.read_model(count),
        Backend::Postgres(store) => store.read_model(count),
    }
}

/// Starts a live query of a projection with `P` partitions.
fn live<const P: u16>(
    backend: &Backend,
    after: Option<Position>,
) -> BoxStream<'static, (Rows, Position)> {
    let model = model::<P>(backend);
    let live = match after {
        None => model.live(rows).boxed(),
        Some(after) => model.live_after(after, rows).boxed(),
    };
    live.map(Result::unwrap).boxed()
}

async fn view(backend: &Backend) -> Result<Option<(Rows, Position)>, SqlError> {
    let Some(view) = model::<1>(backend).view().await? else {
        return Ok(None);
    };
    let position = view.position();
    Ok(Some((rows(view).await?, position)))
}

async fn next(live: &mut BoxStream<'static, (Rows, Position)>) -> (Rows, Position) {
    let next = tokio::time::timeout(Duration::from_secs(60), live.next());
    next.await.unwrap().unwrap()
}

/// A node with its own store that runs version `V` in `P` partitions.
struct Node {
    backend: Backend,
    runtime: Runtime,
}

impl Node {
    async fn start<const V: u32, const P: u16>(location: &str) -> Self {
        let backend = Backend::open(location).await.unwrap();
        let builder = Runtime::builder(&backend.engine())
            .retry(PATIENT)
            .lease(Duration::from_millis(300));
        let count = Count::<V, P>::default();
        let runtime = count
            .on(&backend, builder, FailurePolicy::DeadLetter)
            .start()
            .await
            .unwrap();
        Self { backend, runtime }
    }

    async fn stop(self) {
        self.runtime.stop().await;
        self.backend.close().await;
    }
}

/// Tasks that write without a pause until `end` is set.
struct Writers {
    end: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Writers {
    async fn start(location: &str) -> Self {
        let end: Arc<AtomicBool> = Arc::default();
        let backend = Arc::new(Backend::open(location).await.unwrap());
        let tasks = (0..4).map(|writer| {
            let (backend, end) = (backend.clone(), end.clone());
            tokio::spawn(async move {
                let engine = backend.engine();
                let (mut turn, mut last) = (0, 0);
                while !end.load(SeqCst) {
                    let fill = Fill::new(&format!("w{writer}"), turn % 20);
                    last = fill.execute(&engine).await.unwrap().position;
                    turn += 1;
                }
                last
            })
        });
        Self {
            tasks: tasks.collect(),
            end,
        }
    }

    async fn end(self) -> Position {
        self.end.store(true, SeqCst);
        let mut last = 0;
        for task in self.tasks {
            last = last.max(task.await.unwrap());
        }
        Position::new(last)
    }
}

/// Asserts that each step matches the log at its position, and that positions do not decrease.
fn assert_consistent(steps: &[(Rows, Position)], events: &[RecordedEvent]) {
    for ((_, jars), position) in steps {
        assert_eq!(
            *jars,
            check::expected_jars(events, *position),
            "at {position}"
        );
    }
    let positions: Vec<Position> = steps.iter().map(|(_, position)| *position).collect();
    assert!(positions.is_sorted(), "{positions:?}");
}

async fn live_rows_match_the_log_at_every_position(location: &str) {
    let reader = Backend::open(location).await.unwrap();
    assert_eq!(view(&reader).await.unwrap(), None);
    let mut early = live::<1>(&reader, None);
    // There is no build yet.
    assert!(early.next().now_or_never().is_none());
    let node = Node::start::<1, 1>(location).await;
    let writers = Writers::start(location).await;
    let mut steps = vec![next(&mut early).await];
    while steps.len() < 15 {
        steps.push(next(&mut early).await);
    }
    drop(early);
    // Another process continues after the last position of this one.
    let other = Backend::open(location).await.unwrap();
    let seen = steps[14].1;
    let mut later = live::<1>(&other, Some(seen));
    while steps.len() < 30 {
        steps.push(next(&mut later).await);
    }
    assert!(steps[15].1 > seen);
    let last = writers.end().await;
    while steps.last().unwrap().1 < last {
        steps.push(next(&mut later).await);
    }
    assert_consistent(&steps, &check::all_events(&reader.engine()).await);
    assert_eq!(view(&other).await.unwrap(), steps.last().cloned());
    node.stop().await;
    other.close().await;
    // The stream ends when the store is closed.
    assert_eq!(later.next().await, None);
    reader.close().await;
}

async fn promotion_is_visible_and_rows_do_not_go_back(location: &str) {
    let reader = Backend::open(location).await.unwrap();
    let node = Node::start::<1, 1>(location).await;
    let writers = Writers::start(location).await;
    let mut live = live::<1>(&reader, None);
    let mut steps = vec![next(&mut live).await];
    while steps.len() < 5 {
        steps.push(next(&mut live).await);
    }
    let newer = Node::start::<2, 1>(location).await;
    let (before, after) = ("jar__1".to_owned(), "jar__2".to_owned());
    while steps.last().unwrap().0.0 == before {
        steps.push(next(&mut live).await);
    }
    let more = steps.len() + 5;
    while steps.len() < more {
        steps.push(next(&mut live).await);
    }
    let last = writers.end().await;
    while steps.last().unwrap().1 < last {
        steps.push(next(&mut live).await);
    }
    assert_consistent(&steps, &check::all_events(&reader.engine()).await);
    let tables: Vec<&String> = steps.iter().map(|((table, _), _)| table).collect();
    assert!(tables.is_sorted() && tables.contains(&&after), "{tables:?}");

    // A promotion without a new event is visible, too.
    let rebuilt = newer.runtime.projection::<Count>().unwrap().rebuild().await;
    rebuilt.unwrap();
    let ((table, jars), position) = next(&mut live).await;
    assert_eq!((table.as_str(), position), ("jar__3", last));
    assert_eq!(jars, steps.last().unwrap().0.1);
    // After a reset, no rows arrive until the position is after that of the previous rows.
    newer
        .runtime
        .projection::<Count>()
        .unwrap()
        .reset()
        .await
        .unwrap();
    newer.runtime.wait_for(last).await.unwrap();
    let receipt = Fill::new("alone", 0).execute(&reader.engine()).await;
    let last = Position::new(receipt.unwrap().position);
    let mut step = next(&mut live).await;
    while step.1 < last {
        assert_eq!((&step.0.1, step.1), (&jars, position));
        step = next(&mut live).await;
    }
    assert_consistent(&[step], &check::all_events(&reader.engine()).await);
    node.stop().await;
    newer.stop().await;
    reader.close().await;
}

async fn view_and_later_events_are_complete(location: &str) {
    let reader = Backend::open(location).await.unwrap();
    let node = Node::start::<1, 1>(location).await;
    let writers = Writers::start(location).await;
    let mut live = live::<1>(&reader, None);
    for _ in 0..5 {
        next(&mut live).await;
    }
    let ((_, mut jars), at) = view(&reader).await.unwrap().unwrap();
    let last = writers.end().await;
    let store = reader.engine().store().clone();
    let mut rest = Subscription::new(store, Query::all(), at);
    while rest.position() < last {
        for event in rest.next_page().await.unwrap().events {
            let position = event.position.get() as i64;
            let jar = jars.entry(event.stream.to_string()).or_insert((0, 0));
            jar.1 = match jar.0 {
                0 => position,
                _ => (jar.1 * 31 + position) % 1_000_003,
            };
            jar.0 += 1;
        }
    }
    let events = check::all_events(&reader.engine()).await;
    assert_eq!(jars, check::expected_jars(&events, last));
    node.stop().await;
    reader.close().await;
}

async fn live_position_is_reached_by_every_partition(location: &str) {
    let reader = Backend::open(location).await.unwrap();
    let node = Node::start::<1, 3>(location).await;
    let writers = Writers::start(location).await;
    let mut live = live::<3>(&reader, None);
    let mut steps = Vec::new();
    while steps.len() < 20 {
        steps.push(next(&mut live).await);
    }
    let last = writers.end().await;
    while steps.last().unwrap().1 < last {
        steps.push(next(&mut live).await);
    }
    let events = check::all_events(&reader.engine()).await;
    for ((_, jars), position) in &steps {
        for (stream, (expected, _)) in check::expected_jars(&events, *position) {
            let (found, _) = jars.get(&stream).copied().unwrap_or_default();
            assert!(found >= expected, "{stream} has {found} at {position}");
        }
    }
    assert_consistent(&steps[steps.len() - 1..], &events);
    node.stop().await;
    reader.close().await;
}

async fn retried_dead_letter_is_visible_without_a_new_event(location: &str) {
    let backend = Backend::open(location).await.unwrap();
    let engine = backend.engine();
    let fixed: Arc<AtomicBool> = Arc::default();
    let is_fixed = fixed.clone();
    let count = Count::<1, 1> {
        on_event: Arc::new(move |_| match is_fixed.load(SeqCst) {
            true => Ok(()),
            false => Err("broken".to_owned()),
        }),
        ..Count::default()
    };
    let at_once = RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    };
    let builder = Runtime::builder(&engine).retry(at_once);
    let runtime = count
        .on(&backend, builder, FailurePolicy::DeadLetter)
        .start()
        .await
        .unwrap();
    let receipt = Fill::new("w", 0).execute(&engine).await.unwrap();
    let last = Position::new(receipt.position);
    runtime.wait_for(last).await.unwrap();
    let mut live = live::<1>(&backend, None);
    let ((_, jars), at) = next(&mut live).await;
    assert_eq!((jars.len(), at), (0, last));
    fixed.store(true, SeqCst);
    runtime
        .projection::<Count>()
        .unwrap()
        .retry_all()
        .await
        .unwrap();
    let mut step = next(&mut live).await;
    while step.0.1["jar-w"].0 < 2 {
        step = next(&mut live).await;
    }
    assert_consistent(&[step], &check::all_events(&engine).await);
    runtime.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    live_rows_match_the_log_at_every_position;
    promotion_is_visible_and_rows_do_not_go_back;
    view_and_later_events_are_complete;
    live_position_is_reached_by_every_partition;
    retried_dead_letter_is_visible_without_a_new_event;
}
