//! A pause that was acknowledged: whoever was at work, no event has an effect any more.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use factum::prelude::*;
use factum::{FailurePolicy, Position, ProjectionState};
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::{Fill, PATIENT};
use tokio::sync::watch;

/// So long that nobody learns of anything by a look of his own while the test lasts.
const LEASE: Duration = Duration::from_secs(60);

/// Tells how many events were begun.
fn slow(taken: &watch::Sender<u64>) -> Count {
    let taken = taken.clone();
    Count {
        on_event: Arc::new(move |_| {
            taken.send_modify(|taken| *taken += 1);
            Ok(())
        }),
        delay: Duration::from_millis(1),
    }
}

fn run(backend: &Backend, engine: &Engine, count: Count) -> Projections {
    let builder = Projections::builder(engine).retry(PATIENT).lease(LEASE);
    count
        .on(backend, builder, FailurePolicy::DeadLetter)
        .start()
}

async fn fill(engine: &Engine, events: u64) -> Position {
    let mut last = 0;
    for turn in 0..events {
        last = Fill::new("a", turn).execute(engine).await.unwrap().position;
    }
    Position::new(last)
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(30), work).await;
    done.unwrap_or_else(|_| panic!("no end of {what}"))
}

async fn until(projections: &Projections, state: ProjectionState) {
    let mut status = projections.watch("counts").unwrap();
    let reached = status.wait_for(|status| status.state == state);
    within("the waiting", reached).await.unwrap();
}

/// It goes on where it was, and has taken each event once.
async fn assert_goes_on(projections: &Projections, backend: &Backend, last: Position) {
    projections.resume("counts").await.unwrap();
    within("the end", projections.wait_for(last)).await.unwrap();
    let counts = backend.jars().await.unwrap();
    let total: i64 = counts.values().map(|(count, _)| count).sum();
    assert_eq!(total as u64, last.get());
}

async fn a_pause_in_the_middle_of_a_page_holds_from_its_return(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&engine, 300).await;
    let (taken, mut taking) = watch::channel(0);
    let projections = run(&backend, &engine, slow(&taken));
    within("the work", taking.wait_for(|taken| *taken >= 20))
        .await
        .unwrap();
    within("the pause", projections.pause("counts"))
        .await
        .unwrap();
    let before = backend.jars().await.unwrap();
    until(&projections, ProjectionState::Paused).await;
    assert_eq!(backend.jars().await.unwrap(), before);
    assert_goes_on(&projections, &backend, last).await;
    projections.stop().await;
    backend.close().await;
}

async fn a_pause_holds_for_an_instance_that_has_not_heard_of_it(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let owner = run(&backend, &engine, Count::default());
    let first = fill(&engine, 1).await;
    within("the start", owner.wait_for(first)).await.unwrap();
    let elsewhere = Backend::open(place).await.unwrap();
    let other_engine = elsewhere.engine();
    let other = run(&elsewhere, &other_engine, Count::default());
    until(&other, ProjectionState::Elsewhere).await;

    within("the pause", other.pause("counts")).await.unwrap();
    let before = backend.jars().await.unwrap();
    let last = fill(&engine, 50).await;
    // It tries a step, and learns by that.
    until(&owner, ProjectionState::Paused).await;
    assert_eq!(backend.jars().await.unwrap(), before);
    assert_goes_on(&owner, &backend, last).await;
    other.stop().await;
    owner.stop().await;
    elsewhere.close().await;
    backend.close().await;
}

databases::on_each_store! {
    a_pause_in_the_middle_of_a_page_holds_from_its_return;
    a_pause_holds_for_an_instance_that_has_not_heard_of_it;
}
