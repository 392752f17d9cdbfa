//! Live queries of tables: rows as of a position, and then as of each later one, while others write, project and switch.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/places.rs"]
mod places;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::prelude::*;
use factum::{FailurePolicy, Position, Query, RecordedEvent, RetryPolicy, Subscription};
use factum_sqlite::{SqlError, SqlReadModel, View};
use factum_tests::backend::{Backend, Jars};
use factum_tests::count::Count;
use factum_tests::load::{Fill, PATIENT};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::JoinHandle;

/// The table that readers see, and what it holds.
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

/// Of a projection with `P` partitions.
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

/// An instance with a store of its own that runs version `V` over `P` partitions.
struct Instance {
    backend: Backend,
    projections: Projections,
}

impl Instance {
    async fn start<const V: u32, const P: u16>(place: &str) -> Self {
        let backend = Backend::open(place).await.unwrap();
        let builder = Projections::builder(&backend.engine())
            .retry(PATIENT)
            .lease(Duration::from_millis(300));
        let count = Count::<V, P>::default();
        let projections = count
            .on(&backend, builder, FailurePolicy::DeadLetter)
            .start();
        Self {
            backend,
            projections,
        }
    }

    async fn stop(self) {
        self.projections.stop().await;
        self.backend.close().await;
    }
}

/// Writes without a pause, until the end.
struct Writers {
    end: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Writers {
    async fn start(place: &str) -> Self {
        let end: Arc<AtomicBool> = Arc::default();
        let backend = Arc::new(Backend::open(place).await.unwrap());
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

/// Each step is the model of the log at its position, and none goes back.
fn hold(steps: &[(Rows, Position)], events: &[RecordedEvent]) {
    for ((_, jars), position) in steps {
        assert_eq!(*jars, check::effects(events, *position), "at {position}");
    }
    let positions: Vec<Position> = steps.iter().map(|(_, position)| *position).collect();
    assert!(positions.is_sorted(), "{positions:?}");
}

async fn every_step_is_the_model_of_the_log_at_its_position(place: &str) {
    let reader = Backend::open(place).await.unwrap();
    assert_eq!(view(&reader).await.unwrap(), None);
    let mut early = live::<1>(&reader, None);
    // There is nothing to be seen yet.
    assert!(early.next().now_or_never().is_none());
    let instance = Instance::start::<1, 1>(place).await;
    let writers = Writers::start(place).await;
    let mut steps = vec![next(&mut early).await];
    while steps.len() < 15 {
        steps.push(next(&mut early).await);
    }
    drop(early);
    // Another process goes on behind what this one has seen.
    let other = Backend::open(place).await.unwrap();
    let seen = steps[14].1;
    let mut behind = live::<1>(&other, Some(seen));
    while steps.len() < 30 {
        steps.push(next(&mut behind).await);
    }
    assert!(steps[15].1 > seen);
    let last = writers.end().await;
    while steps.last().unwrap().1 < last {
        steps.push(next(&mut behind).await);
    }
    hold(&steps, &check::everything(&reader.engine()).await);
    assert_eq!(view(&other).await.unwrap(), steps.last().cloned());
    instance.stop().await;
    other.close().await;
    // A store that is closed has no more to say.
    assert_eq!(behind.next().await, None);
    reader.close().await;
}

async fn a_switch_is_seen_and_nothing_goes_back(place: &str) {
    let reader = Backend::open(place).await.unwrap();
    let instance = Instance::start::<1, 1>(place).await;
    let writers = Writers::start(place).await;
    let mut live = live::<1>(&reader, None);
    let mut steps = vec![next(&mut live).await];
    while steps.len() < 5 {
        steps.push(next(&mut live).await);
    }
    let newer = Instance::start::<2, 1>(place).await;
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
    hold(&steps, &check::everything(&reader.engine()).await);
    let tables: Vec<&String> = steps.iter().map(|((table, _), _)| table).collect();
    assert!(tables.is_sorted() && tables.contains(&&after), "{tables:?}");

    // Without an event it is seen as well.
    let rebuilt = newer.projections.rebuild("counts").await;
    rebuilt.unwrap();
    let ((table, jars), position) = next(&mut live).await;
    assert_eq!((table.as_str(), position), ("jar__3", last));
    assert_eq!(jars, steps.last().unwrap().0.1);
    // What begins anew is silent until it is past what was told.
    newer.projections.reset("counts").await.unwrap();
    newer.projections.wait_for(last).await.unwrap();
    let told = Fill::new("alone", 0).execute(&reader.engine()).await;
    let last = Position::new(told.unwrap().position);
    let mut step = next(&mut live).await;
    while step.1 < last {
        assert_eq!((&step.0.1, step.1), (&jars, position));
        step = next(&mut live).await;
    }
    hold(&[step], &check::everything(&reader.engine()).await);
    instance.stop().await;
    newer.stop().await;
    reader.close().await;
}

async fn a_view_and_the_events_behind_it_are_all_there_is(place: &str) {
    let reader = Backend::open(place).await.unwrap();
    let instance = Instance::start::<1, 1>(place).await;
    let writers = Writers::start(place).await;
    let mut live = live::<1>(&reader, None);
    for _ in 0..5 {
        next(&mut live).await;
    }
    let ((_, mut jars), at) = view(&reader).await.unwrap().unwrap();
    let last = writers.end().await;
    let store = reader.engine().store().clone();
    let mut behind = Subscription::new(store, Query::all(), at);
    while behind.position() < last {
        for event in behind.next_page().await.unwrap().events {
            let position = event.position.get() as i64;
            let jar = jars.entry(event.stream.to_string()).or_insert((0, 0));
            jar.1 = match jar.0 {
                0 => position,
                _ => (jar.1 * 31 + position) % 1_000_003,
            };
            jar.0 += 1;
        }
    }
    let events = check::everything(&reader.engine()).await;
    assert_eq!(jars, check::effects(&events, last));
    instance.stop().await;
    reader.close().await;
}

async fn with_partitions_every_one_has_come_to_the_position(place: &str) {
    let reader = Backend::open(place).await.unwrap();
    let instance = Instance::start::<1, 3>(place).await;
    let writers = Writers::start(place).await;
    let mut live = live::<3>(&reader, None);
    let mut steps = Vec::new();
    while steps.len() < 20 {
        steps.push(next(&mut live).await);
    }
    let last = writers.end().await;
    while steps.last().unwrap().1 < last {
        steps.push(next(&mut live).await);
    }
    let events = check::everything(&reader.engine()).await;
    for ((_, jars), position) in &steps {
        for (stream, (expected, _)) in check::effects(&events, *position) {
            let (found, _) = jars.get(&stream).copied().unwrap_or_default();
            assert!(found >= expected, "{stream} has {found} at {position}");
        }
    }
    hold(&steps[steps.len() - 1..], &events);
    instance.stop().await;
    reader.close().await;
}

async fn a_retry_of_what_was_parked_is_seen_without_an_event(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let mended: Arc<AtomicBool> = Arc::default();
    let is_mended = mended.clone();
    let count = Count::<1, 1> {
        taking: Arc::new(move |_| match is_mended.load(SeqCst) {
            true => Ok(()),
            false => Err("broken".to_owned()),
        }),
        ..Count::default()
    };
    let at_once = RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    };
    let builder = Projections::builder(&engine).retry(at_once);
    let projections = count
        .on(&backend, builder, FailurePolicy::DeadLetter)
        .start();
    let told = Fill::new("w", 0).execute(&engine).await.unwrap();
    let last = Position::new(told.position);
    projections.wait_for(last).await.unwrap();
    let mut live = live::<1>(&backend, None);
    let ((_, jars), at) = next(&mut live).await;
    assert_eq!((jars.len(), at), (0, last));
    mended.store(true, SeqCst);
    projections.retry("counts").await.unwrap();
    let mut step = next(&mut live).await;
    while step.0.1["jar-w"].0 < 2 {
        step = next(&mut live).await;
    }
    hold(&[step], &check::everything(&engine).await);
    projections.stop().await;
    backend.close().await;
}

places::on_each! {
    every_step_is_the_model_of_the_log_at_its_position;
    a_switch_is_seen_and_nothing_goes_back;
    a_view_and_the_events_behind_it_are_all_there_is;
    with_partitions_every_one_has_come_to_the_position;
    a_retry_of_what_was_parked_is_seen_without_an_event;
}
