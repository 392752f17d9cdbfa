//! Dead letters of a projection: blocked streams, retries, discards, policies `Skip` and `Stop`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/poison.rs"]
mod poison;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::prelude::*;
use factum::runtime::{ConsumerState, DeadLetterState, FailurePolicy, WaitError};
use factum::store::DocumentChanges;
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use tokio::sync::watch;

use poison::{append, counts, dead_letter_keys, fill, poisoned, run, wait_for_dead_letters};

/// Returns the position and the state of each dead letter.
async fn dead_letters(runtime: &Runtime) -> Vec<(u64, &'static str)> {
    let entries = counts(runtime).dead_letters().await.unwrap();
    let entries = entries.into_iter().map(|entry| {
        let state = match entry.state {
            DeadLetterState::Failed { .. } => "failed",
            DeadLetterState::Blocked => "blocked",
            DeadLetterState::Skipped { .. } => "skipped",
            DeadLetterState::Discarded { .. } => "discarded",
            _ => "unknown",
        };
        (entry.position.get(), state)
    });
    entries.collect()
}

/// Waits until the dead letters are as expected.
async fn until_dead_letters(runtime: &Runtime, expected: &[(u64, &'static str)]) {
    let done = async { while dead_letters(runtime).await != expected {} };
    let done = tokio::time::timeout(Duration::from_secs(20), done).await;
    assert!(done.is_ok(), "{:?}", dead_letters(runtime).await);
}

/// Asserts that the table equals a replay of all events except those at the positions in `without`.
async fn assert_matches_replay(backend: &Backend, engine: &Engine, without: &[u64]) {
    let events = check::all_events(engine).await;
    let events = events
        .iter()
        .filter(|event| !without.contains(&event.position.get()))
        .map(|event| (event.stream.as_str(), event.position.get()));
    let replay = factum_tests::backend::replay(events);
    assert_eq!(backend.jars().await.unwrap(), replay);
}

async fn failed_event_blocks_its_stream_until_retry(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let last = fill(&engine, &["a", "poison", "b", "poison", "a", "poison", "b"]).await;
    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    runtime.wait_for(last).await.unwrap();
    assert_matches_replay(&backend, &engine, &[2, 4, 6]).await;
    let expected = [(2, "failed"), (4, "blocked"), (6, "blocked")];
    assert_eq!(dead_letters(&runtime).await, expected);
    let first = counts(&runtime).dead_letters().await.unwrap().remove(0);
    let (error, attempts) = ("poison".to_owned(), 2);
    assert_eq!(first.state, DeadLetterState::Failed { error, attempts });
    assert_eq!(runtime.status()[0].dead_letters, 3);

    // The event still fails, so it and the later events of its stream stay.
    counts(&runtime).retry_all().await.unwrap();
    let last = fill(&engine, &["poison", "a"]).await;
    runtime.wait_for(last).await.unwrap();
    assert_eq!(dead_letters(&runtime).await.len(), 4);
    runtime.stop().await;

    // Dead letters survive a restart.
    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    wait_for_dead_letters(&runtime, 4).await;
    fixed.store(true, SeqCst);
    counts(&runtime).retry_all().await.unwrap();
    wait_for_dead_letters(&runtime, 0).await;
    assert_eq!(dead_letters(&runtime).await, []);
    assert_matches_replay(&backend, &engine, &[]).await;
    let last = fill(&engine, &["poison"]).await;
    runtime.wait_for(last).await.unwrap();
    assert_matches_replay(&backend, &engine, &[]).await;
    runtime.stop().await;
    backend.close().await;
}

async fn discard_unblocks_stream_without_effect(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    append(&engine, "torn", r#"{"command":"#.to_owned()).await;
    fill(&engine, &["torn", "a", "torn"]).await;
    let last = append(&engine, "torn", r#"{"command":7}"#.to_owned()).await;
    let runtime = run(
        &backend,
        &engine,
        Count::default(),
        FailurePolicy::DeadLetter,
    )
    .await;
    runtime.wait_for(last).await.unwrap();
    let expected = [
        (1, "failed"),
        (2, "blocked"),
        (4, "blocked"),
        (5, "blocked"),
    ];
    assert_eq!(dead_letters(&runtime).await, expected);
    let handle = counts(&runtime);
    let discard = |at| handle.discard(Position::new(at), "a torn file");
    let error = discard(3).await.unwrap_err();
    let expected = "no dead letter of \"counts\" is waiting at position 3; `dead_letters` lists those that are";
    assert_eq!(error.to_string(), expected);
    discard(1).await.unwrap();
    // The next undecodable event of the stream stays.
    until_dead_letters(&runtime, &[(1, "discarded"), (5, "failed")]).await;
    discard(5).await.unwrap();
    wait_for_dead_letters(&runtime, 0).await;
    let again = discard(5).await.unwrap_err().to_string();
    assert_eq!(
        again,
        "no dead letter of \"counts\" is waiting at position 5; `dead_letters` lists those that are"
    );
    assert_eq!(
        dead_letters(&runtime).await,
        [(1, "discarded"), (5, "discarded")]
    );
    let first = counts(&runtime).dead_letters().await.unwrap().remove(0);
    let reason = "a torn file".to_owned();
    assert_eq!(first.state, DeadLetterState::Discarded { reason });
    assert_matches_replay(&backend, &engine, &[1, 5]).await;
    let last = fill(&engine, &["torn"]).await;
    runtime.wait_for(last).await.unwrap();
    assert_matches_replay(&backend, &engine, &[1, 5]).await;
    runtime.stop().await;
    backend.close().await;
}

async fn skipped_events_are_recorded(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    fill(&engine, &["a", "poison", "poison"]).await;
    append(&engine, "a", "none".to_owned()).await;
    let last = fill(&engine, &["a"]).await;
    let runtime = run(&backend, &engine, poisoned(&fixed), FailurePolicy::Skip).await;
    runtime.wait_for(last).await.unwrap();
    let skipped = [(2, "skipped"), (3, "skipped"), (4, "skipped")];
    assert_eq!(dead_letters(&runtime).await, skipped);
    // A scan for waiting dead letters does not return resolved ones.
    assert_eq!(dead_letter_keys(&engine).await, Vec::<String>::new());
    assert_eq!(runtime.status()[0].dead_letters, 0);
    // A retry does not affect skipped events.
    fixed.store(true, SeqCst);
    counts(&runtime).retry_all().await.unwrap();
    let last = fill(&engine, &["poison"]).await;
    runtime.wait_for(last).await.unwrap();
    assert_eq!(dead_letters(&runtime).await, skipped);
    assert_matches_replay(&backend, &engine, &[2, 3, 4]).await;
    runtime.stop().await;
    backend.close().await;
}

async fn stopped_projection_resumes_through_another_node(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let owner = run(&backend, &engine, poisoned(&fixed), FailurePolicy::Stop).await;
    let first = fill(&engine, &["a"]).await;
    owner.wait_for(first).await.unwrap();
    let other_backend = Backend::open(place).await.unwrap();
    let other_engine = other_backend.engine();
    let other = run(
        &other_backend,
        &other_engine,
        Count::default(),
        FailurePolicy::Stop,
    )
    .await;
    other.wait_for(first).await.unwrap();
    let mut status = other.consumers().next().unwrap().watch();
    let elsewhere = status.wait_for(|status| status.state == ConsumerState::OnOtherNode);
    elsewhere.await.unwrap();
    assert_eq!(other.status()[0].nodes, owner.status()[0].nodes);

    let last = fill(&engine, &["poison", "a"]).await;
    let error = other.wait_for(last).await.unwrap_err();
    let stopped = WaitError::Stopped {
        name: "counts".to_owned(),
        position: first,
        error: "event jar.filled at position 2 failed: poison".to_owned(),
    };
    assert_eq!(error, stopped);
    let status = &other.status()[0];
    assert_eq!(
        status.last_error.as_deref(),
        Some("event jar.filled at position 2 failed: poison")
    );
    assert_eq!(owner.status()[0].state, ConsumerState::Stopped);
    // A stopped projection still reports its lag.
    let mut status = counts(&owner).watch();
    let lags = status.wait_for(|status| status.lag() == 2);
    let lags = tokio::time::timeout(Duration::from_secs(20), lags)
        .await
        .is_ok();
    assert!(lags, "{:?}", owner.status());
    fixed.store(true, SeqCst);
    counts(&other).resume().await.unwrap();
    other.wait_for(last).await.unwrap();
    owner.wait_for(last).await.unwrap();
    assert_matches_replay(&backend, &engine, &[]).await;
    other.stop().await;
    owner.stop().await;
}

async fn pending_retry_survives_restart(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let last = fill(&engine, &["poison", "a", "poison"]).await;
    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    runtime.wait_for(last).await.unwrap();
    counts(&runtime).pause().await.unwrap();
    counts(&runtime).retry_all().await.unwrap();
    runtime.stop().await;
    fixed.store(true, SeqCst);
    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    let mut status = counts(&runtime).watch();
    let paused = status.wait_for(|status| status.state == ConsumerState::Paused);
    paused.await.unwrap();
    assert_eq!(dead_letters(&runtime).await.len(), 2);
    counts(&runtime).resume().await.unwrap();
    wait_for_dead_letters(&runtime, 0).await;
    assert_eq!(dead_letters(&runtime).await, []);
    assert_matches_replay(&backend, &engine, &[]).await;
    runtime.stop().await;
}

async fn event_that_fails_after_a_resume_becomes_dead_letter(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let policy = FailurePolicy::DeadLetter;
    let runtime = run(&backend, &engine, poisoned(&fixed), policy).await;
    let first = fill(&engine, &["a"]).await;
    runtime.wait_for(first).await.unwrap();
    let mut status = counts(&runtime).watch();
    counts(&runtime).pause().await.unwrap();
    let paused = status.wait_for(|status| status.state == ConsumerState::Paused);
    paused.await.unwrap();
    counts(&runtime).resume().await.unwrap();
    let live = status.wait_for(|status| status.state == ConsumerState::Live);
    live.await.unwrap();
    let last = fill(&engine, &["poison", "a"]).await;
    let waited = tokio::time::timeout(Duration::from_secs(20), runtime.wait_for(last)).await;
    assert_eq!(waited, Ok(Ok(())), "{:?}", runtime.status());
    assert_eq!(dead_letters(&runtime).await, [(2, "failed")]);
    assert_matches_replay(&backend, &engine, &[2]).await;
    runtime.stop().await;
    backend.close().await;
}

async fn discard_affects_only_its_stream(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    append(&engine, "torn", "none".to_owned()).await;
    let last = fill(&engine, &["poison", "poison", "torn"]).await;
    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    runtime.wait_for(last).await.unwrap();
    wait_for_dead_letters(&runtime, 4).await;
    let reason = "a torn file";
    let handle = counts(&runtime);
    handle.discard(Position::new(1), reason).await.unwrap();
    wait_for_dead_letters(&runtime, 2).await;
    let entries = counts(&runtime).dead_letters().await.unwrap();
    let states: Vec<_> = entries.into_iter().map(|it| it.state).collect();
    let (error, attempts) = ("poison".to_owned(), 2);
    let failed = DeadLetterState::Failed { error, attempts };
    assert_eq!(states[1..], [failed, DeadLetterState::Blocked]);
    assert_eq!(dead_letter_keys(&engine).await.len(), 2);
    assert_matches_replay(&backend, &engine, &[1, 2, 3]).await;
    runtime.stop().await;
    backend.close().await;
}

async fn unreadable_dead_letter_still_blocks_its_stream(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let last = fill(&engine, &["poison", "a"]).await;
    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    runtime.wait_for(last).await.unwrap();
    runtime.stop().await;
    let [key] = &dead_letter_keys(&engine).await[..] else {
        panic!("expected one waiting dead letter");
    };
    let torn = DocumentChanges::new().put(key, "[]");
    engine.store().change_documents(torn).await.unwrap();

    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    let last = fill(&engine, &["poison", "a"]).await;
    runtime.wait_for(last).await.unwrap();
    let found = counts(&runtime).dead_letters().await.unwrap();
    let DeadLetterState::Failed { error, .. } = &found[0].state else {
        panic!("{found:?}");
    };
    assert!(error.contains(key.as_str()), "{error}");
    assert_eq!(
        dead_letters(&runtime).await,
        [(1, "failed"), (3, "blocked")]
    );
    fixed.store(true, SeqCst);
    counts(&runtime).retry_all().await.unwrap();
    wait_for_dead_letters(&runtime, 0).await;
    assert_matches_replay(&backend, &engine, &[]).await;
    runtime.stop().await;
    backend.close().await;
}

/// Dead-letters `count` events, fixes their cause, and returns while a slow retry is in progress.
async fn retrying(backend: &Backend, engine: &Engine, count: usize) -> Runtime {
    let fixed = Arc::new(AtomicBool::new(false));
    let last = fill(engine, &vec!["poison"; count]).await;
    let (retried, mut retries) = watch::channel(0);
    let (reject, is_fixed) = (poisoned::<1, 1>(&fixed).on_event, fixed.clone());
    let slow = Count {
        on_event: Arc::new(move |event| {
            retried.send_modify(|retried| *retried += u64::from(is_fixed.load(SeqCst)));
            reject(event)
        }),
        delay: Duration::from_millis(10),
    };
    let runtime = run(backend, engine, slow, FailurePolicy::DeadLetter).await;
    runtime.wait_for(last).await.unwrap();
    fixed.store(true, SeqCst);
    counts(&runtime).retry_all().await.unwrap();
    retries.wait_for(|retried| *retried > 0).await.unwrap();
    runtime
}

async fn pause_interrupts_long_retry(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let runtime = retrying(&backend, &engine, 200).await;
    let mut status = counts(&runtime).watch();
    counts(&runtime).pause().await.unwrap();
    let paused = status.wait_for(|status| status.state == ConsumerState::Paused);
    paused.await.unwrap();
    let remaining = dead_letter_keys(&engine).await.len();
    assert!(remaining > 0, "all dead letters were retried");
    counts(&runtime).resume().await.unwrap();
    wait_for_dead_letters(&runtime, 0).await;
    assert_matches_replay(&backend, &engine, &[]).await;
    runtime.stop().await;
    backend.close().await;
}

async fn long_retry_does_not_delay_new_events(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let runtime = retrying(&backend, &engine, 300).await;
    // One event of the blocked stream, and one of another stream.
    let last = fill(&engine, &["poison", "a"]).await;
    runtime.wait_for(last).await.unwrap();
    let remaining = dead_letter_keys(&engine).await.len();
    assert!(remaining > 1, "dead letters left to retry: {remaining}");
    let seen = backend.jars().await.unwrap();
    assert!(seen.contains_key("jar-a"), "{seen:?}");
    wait_for_dead_letters(&runtime, 0).await;
    assert_matches_replay(&backend, &engine, &[]).await;
    runtime.stop().await;
    backend.close().await;
}

/// Covers batches of several events and of one event.
async fn retry_stops_each_stream_at_its_first_failure(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let is_fixed = fixed.clone();
    // After the fix, only every seventh position fails.
    let count = Count::<1, 1> {
        on_event: Arc::new(move |event| {
            let fails = event.record.position.get() % 7 == 0 || !is_fixed.load(SeqCst);
            if fails {
                Err("poison".to_owned())
            } else {
                Ok(())
            }
        }),
        ..Count::default()
    };
    let jars: Vec<String> = (0..120)
        .map(|turn| format!("{}", turn * turn % 11))
        .collect();
    let jars: Vec<&str> = jars.iter().map(String::as_str).collect();
    let last = fill(&engine, &jars).await;
    let runtime = run(&backend, &engine, count, FailurePolicy::DeadLetter).await;
    runtime.wait_for(last).await.unwrap();
    wait_for_dead_letters(&runtime, 120).await;
    fixed.store(true, SeqCst);
    counts(&runtime).retry_all().await.unwrap();
    let (mut blocked, mut expected) = (Vec::new(), Vec::new());
    for (position, jar) in (1..).zip(&jars) {
        if position % 7 == 0 && !blocked.contains(jar) {
            blocked.push(*jar);
            expected.push((position, "failed"));
        } else if blocked.contains(jar) {
            expected.push((position, "blocked"));
        }
    }
    until_dead_letters(&runtime, &expected).await;
    let without: Vec<u64> = expected.iter().map(|(position, _)| *position).collect();
    assert_matches_replay(&backend, &engine, &without).await;
    runtime.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    long_retry_does_not_delay_new_events;
    retry_stops_each_stream_at_its_first_failure;
    failed_event_blocks_its_stream_until_retry;
    discard_unblocks_stream_without_effect;
    skipped_events_are_recorded;
    stopped_projection_resumes_through_another_node;
    pending_retry_survives_restart;
    event_that_fails_after_a_resume_becomes_dead_letter;
    discard_affects_only_its_stream;
    unreadable_dead_letter_still_blocks_its_stream;
    pause_interrupts_long_retry;
}
