//! An acknowledged pause: no event has an effect after `pause` returns, whichever node was processing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use factum::prelude::*;
use factum::runtime::{ConsumerState, FailurePolicy, ProjectionHandle};
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::{Fill, PATIENT};
use tokio::sync::watch;

/// The lease, long enough that no node polls for changes while the test runs.
const LEASE: Duration = Duration::from_secs(60);

/// Returns a slow projection that counts the events it has started to process.
fn slow(started: &watch::Sender<u64>) -> Count {
    let started = started.clone();
    Count {
        on_event: Arc::new(move |_| {
            started.send_modify(|started| *started += 1);
            Ok(())
        }),
        delay: Duration::from_millis(1),
    }
}

async fn run(backend: &Backend, engine: &Engine, count: Count) -> Runtime {
    let builder = Runtime::builder(engine).retry(PATIENT).lease(LEASE);
    count
        .on(backend, builder, FailurePolicy::DeadLetter)
        .start()
        .await
        .unwrap()
}

/// Returns the handle of the projection that [`run`] starts.
fn counts(runtime: &Runtime) -> ProjectionHandle {
    runtime.projection::<Count>().unwrap()
}

async fn fill(engine: &Engine, events: u64) -> Position {
    let mut last = 0;
    for turn in 0..events {
        last = Fill::new("a", turn).execute(engine).await.unwrap().position;
    }
    Position::new(last)
}

async fn within<T>(operation: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(30), work).await;
    done.unwrap_or_else(|_| panic!("{operation} timed out"))
}

async fn until(runtime: &Runtime, state: ConsumerState) {
    let mut status = counts(runtime).watch();
    let reached = status.wait_for(|status| status.state == state);
    within("the status change", reached).await.unwrap();
}

/// Resumes the projection and asserts that each event was processed once.
async fn assert_resumes(runtime: &Runtime, backend: &Backend, last: Position) {
    counts(runtime).resume().await.unwrap();
    within("catch-up", runtime.wait_for(last)).await.unwrap();
    let counts = backend.jars().await.unwrap();
    let total: i64 = counts.values().map(|(count, _)| count).sum();
    assert_eq!(total as u64, last.get());
}

async fn pause_within_page_takes_effect_before_it_returns(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&engine, 300).await;
    let (started, mut progress) = watch::channel(0);
    let runtime = run(&backend, &engine, slow(&started)).await;
    within(
        "the first events",
        progress.wait_for(|started| *started >= 20),
    )
    .await
    .unwrap();
    within("the pause", counts(&runtime).pause()).await.unwrap();
    let before = backend.jars().await.unwrap();
    until(&runtime, ConsumerState::Paused).await;
    assert_eq!(backend.jars().await.unwrap(), before);
    assert_resumes(&runtime, &backend, last).await;
    runtime.stop().await;
    backend.close().await;
}

async fn pause_applies_to_node_that_was_not_notified(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let owner = run(&backend, &engine, Count::default()).await;
    let first = fill(&engine, 1).await;
    within("the start", owner.wait_for(first)).await.unwrap();
    let other_backend = Backend::open(place).await.unwrap();
    let other_engine = other_backend.engine();
    let other = run(&other_backend, &other_engine, Count::default()).await;
    until(&other, ConsumerState::OnOtherNode).await;

    within("the pause", counts(&other).pause()).await.unwrap();
    let before = backend.jars().await.unwrap();
    let last = fill(&engine, 50).await;
    // The owner notices the pause when its next batch is rejected.
    until(&owner, ConsumerState::Paused).await;
    assert_eq!(backend.jars().await.unwrap(), before);
    assert_resumes(&owner, &backend, last).await;
    other.stop().await;
    owner.stop().await;
    other_backend.close().await;
    backend.close().await;
}

databases::on_each_store! {
    pause_within_page_takes_effect_before_it_returns;
    pause_applies_to_node_that_was_not_notified;
}
