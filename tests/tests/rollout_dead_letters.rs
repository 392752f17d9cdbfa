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
use factum::runtime::{FailurePolicy, WaitError};
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::{Fill, PATIENT};

use rolling::{LEASE, assert_equals_replay, counts, run, wait_error, within};

/// Runs version `V`, which fails on events of the jar `poison`.
async fn run_failing<const V: u32>(
    backend: &Backend,
    engine: &Engine,
    poison: &'static str,
) -> Runtime {
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
    let builder = Runtime::builder(engine).retry(policy).lease(LEASE);
    count
        .on(backend, builder, FailurePolicy::DeadLetter)
        .start()
        .await
        .unwrap()
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
    let old = run::<1, 1>(&backend, &engine).await;
    within("the start", old.wait_for(last)).await.unwrap();
    let new = run_failing::<2>(&backend, &engine, "b").await;
    let waited = within("the wait", new.wait_until_current()).await;
    let blocked = "the event at position 3 is a dead letter of build 2 and had an effect in the active build 1: fix \
                   the cause and call `retry`, or call `discard`, or call `promote` to make the build active as it is";
    let expected = WaitError::PromotionBlocked {
        name: "counts".to_owned(),
        position: last,
        reason: blocked.to_owned(),
    };
    assert_eq!(wait_error(waited), expected);
    assert_eq!(new.status()[0].promotion_blocked.as_deref(), Some(blocked));
    assert_equals_replay(&backend, &engine).await;
    let dead_letters = counts(&new).dead_letters().await.unwrap();
    let found: Vec<_> = dead_letters
        .iter()
        .map(|it| (it.build, it.position.get()))
        .collect();
    assert_eq!(found, [(2, 3), (2, 4)]);
    counts(&new)
        .discard(Position::new(3), "poison")
        .await
        .unwrap();
    let mut status = counts(&new).watch();
    let blocked = "the event at position 4 is a dead letter of build 2 ";
    let next = status.wait_for(|status| {
        let promotion_blocked = status.promotion_blocked.as_deref();
        promotion_blocked.is_some_and(|promotion_blocked| promotion_blocked.starts_with(blocked))
    });
    within("the discard", next).await.unwrap();
    // `promote` makes the build active as it is.
    counts(&new).promote().await.unwrap();
    within(
        "the promotion",
        status.wait_for(|status| status.is_current_version),
    )
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
    let old = run_failing::<1>(&backend, &engine, "c").await;
    within("the start", old.wait_for(last)).await.unwrap();
    assert_eq!(old.status()[0].dead_letters, 2);
    let new = run_failing::<2>(&backend, &engine, "b").await;
    let waited = within("the wait", new.wait_until_current()).await;
    let waited = wait_error(waited);
    let WaitError::PromotionBlocked { reason, .. } = waited else {
        panic!("{waited:?}");
    };
    let blocked = "the event at position 3 is a dead letter of build 2 ";
    assert!(reason.starts_with(blocked), "{reason}");
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
    let old = run_failing::<1>(&backend, &engine, "b").await;
    within("the start", old.wait_for(last)).await.unwrap();
    counts(&old)
        .discard(Position::new(3), "poison")
        .await
        .unwrap();
    let mut status = counts(&old).watch();
    let discarded = status.wait_for(|status| status.dead_letters == 1);
    within("the discard", discarded).await.unwrap();
    let new = run_failing::<2>(&backend, &engine, "b").await;
    within("the build", new.wait_until_current()).await.unwrap();
    assert_eq!(new.status()[0].dead_letters, 2);
    new.stop().await;
    old.stop().await;
    backend.close().await;
}

/// No node runs the old version, so its build never reaches the dead-lettered event.
async fn wait_on_abandoned_build_does_not_hang(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = fill(&engine, &["a"]).await;
    let old = run::<1, 1>(&backend, &engine).await;
    within("the start", old.wait_for(last)).await.unwrap();
    old.stop().await;
    let last = fill(&engine, &["b", "c"]).await;
    let new = run_failing::<2>(&backend, &engine, "b").await;
    let waited = within("the wait", new.wait_for(last)).await;
    // The wait succeeds if the new build was promoted when it reached the end of the old one.
    if let Err(error) = waited {
        let WaitError::Stopped { error, .. } = error else {
            panic!("{error:?}");
        };
        let abandoned = "no node processes the active build 1";
        assert!(error.starts_with(abandoned), "{error}");
        counts(&new).promote().await.unwrap();
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
