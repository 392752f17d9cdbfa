//! Promotion of a new version that dead-letters events.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/rolling.rs"]
mod rolling;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use factum::Position;
use factum::prelude::*;
use factum::runtime::FailurePolicy;
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::{Fill, PATIENT};

use rolling::{LEASE, assert_equals_replay, run, within};

/// Runs version `V`, which fails on events of the jar `poison`.
fn run_failing<const V: u32>(
    backend: &Backend,
    engine: &Engine,
    poison: &'static str,
) -> Projections {
    let count = Count::<V, 1> {
        on_event: Arc::new(move |event| match event.record.stream.key() {
            jar if jar == poison => Err("poison".to_owned()),
            _ => Ok(()),
        }),
        ..Count::default()
    };
    let policy = factum::engine::RetryPolicy {
        attempts: 2,
        ..PATIENT
    };
    let builder = Projections::builder(engine).retry(policy).lease(LEASE);
    count
        .on(backend, builder, FailurePolicy::DeadLetter)
        .start()
}

async fn fill(engine: &Engine, jars: &[&str]) -> Position {
    let mut last = 0;
    for jar in jars {
        last = Fill::new(jar, 0).execute(engine).await.unwrap().position;
    }
    Position::new(last)
}

async fn new_dead_letter_blocks_promotion(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&engine, &["a", "b", "c"]).await;
    let old = run::<1, 1>(&backend, &engine);
    within("the start", old.wait_for(last)).await.unwrap();
    let new = run_failing::<2>(&backend, &engine, "b");
    let waited = within("the wait", new.wait_until_current()).await;
    let blocked = "build 2 has parked the event at position 3, which has had its effect in build 1, which readers \
                   see: mend the cause and `retry`, or `discard` it, or let readers see that build as it is by \
                   `switch`";
    assert_eq!(waited.unwrap_err().error, blocked);
    assert_eq!(new.status()[0].promotion_blocked.as_deref(), Some(blocked));
    assert_equals_replay(&backend, &engine).await;
    let dead_letters = new.dead_letters("counts").await.unwrap();
    let found: Vec<_> = dead_letters
        .iter()
        .map(|it| (it.build, it.position.get()))
        .collect();
    assert_eq!(found, [(2, 3), (2, 4)]);
    new.discard("counts", Position::new(3), "poison")
        .await
        .unwrap();
    let mut status = new.watch("counts").unwrap();
    let blocked = "build 2 has parked the event at position 4, ";
    let next = status.wait_for(|status| {
        let promotion_blocked = status.promotion_blocked.as_deref();
        promotion_blocked.is_some_and(|promotion_blocked| promotion_blocked.starts_with(blocked))
    });
    within("the discard", next).await.unwrap();
    // `switch` promotes the build as it is.
    new.switch("counts").await.unwrap();
    within("the promotion", status.wait_for(|status| status.current))
        .await
        .unwrap();
    assert_eq!(backend.jars().await.unwrap().len(), 2);
    new.stop().await;
    old.stop().await;
    backend.close().await;
}

/// The new version has the same number of dead letters, but different ones.
async fn different_dead_letter_blocks_promotion(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&engine, &["a", "b", "c"]).await;
    let old = run_failing::<1>(&backend, &engine, "c");
    within("the start", old.wait_for(last)).await.unwrap();
    assert_eq!(old.status()[0].parked, 2);
    let new = run_failing::<2>(&backend, &engine, "b");
    let waited = within("the wait", new.wait_until_current()).await;
    let blocked = waited.unwrap_err().error;
    assert!(
        blocked.starts_with("build 2 has parked the event at position 3, "),
        "{blocked}"
    );
    // The old build is still active.
    let active: Vec<_> = backend.jars().await.unwrap().into_keys().collect();
    assert_eq!(active, ["jar-a", "jar-b"]);
    new.stop().await;
    old.stop().await;
    backend.close().await;
}

/// Discarded events, and dead letters of both builds, do not block a promotion.
async fn dead_letters_of_both_builds_do_not_block_promotion(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&engine, &["a", "b", "c"]).await;
    let old = run_failing::<1>(&backend, &engine, "b");
    within("the start", old.wait_for(last)).await.unwrap();
    old.discard("counts", Position::new(3), "poison")
        .await
        .unwrap();
    let mut status = old.watch("counts").unwrap();
    let discarded = status.wait_for(|status| status.parked == 1);
    within("the discard", discarded).await.unwrap();
    let new = run_failing::<2>(&backend, &engine, "b");
    within("the build", new.wait_until_current()).await.unwrap();
    assert_eq!(new.status()[0].parked, 2);
    new.stop().await;
    old.stop().await;
    backend.close().await;
}

/// No node runs the old version, so its build never reaches the dead-lettered event.
async fn wait_on_abandoned_build_does_not_hang(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&engine, &["a"]).await;
    let old = run::<1, 1>(&backend, &engine);
    within("the start", old.wait_for(last)).await.unwrap();
    old.stop().await;
    let last = fill(&engine, &["b", "c"]).await;
    let new = run_failing::<2>(&backend, &engine, "b");
    let waited = within("the wait", new.wait_for(last)).await;
    // The wait succeeds if the new build was promoted when it reached the end of the old one.
    if let Err(promotion_blocked) = waited {
        let error = promotion_blocked.error;
        let abandoned = "no instance works on build 1 any more";
        assert!(error.starts_with(abandoned), "{error}");
        new.switch("counts").await.unwrap();
    }
    within("the promotion", new.wait_until_current())
        .await
        .unwrap();
    new.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    wait_on_abandoned_build_does_not_hang;
    new_dead_letter_blocks_promotion;
    different_dead_letter_blocks_promotion;
    dead_letters_of_both_builds_do_not_block_promotion;
}
