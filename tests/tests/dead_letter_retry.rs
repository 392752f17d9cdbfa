//! One dead letter is retried by its position; others stay where they are.

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
use factum::runtime::{ControlError, DeadLetterState, FailurePolicy};
use factum_tests::backend::Backend;

use poison::{append, counts, poisoned, run, wait_for_dead_letters};

/// Returns the positions of the dead letters.
async fn positions(runtime: &Runtime) -> Vec<u64> {
    let letters = counts(runtime).dead_letters().await.unwrap();
    letters.iter().map(|letter| letter.position.get()).collect()
}

/// Waits until the first dead letter was tried this often.
async fn wait_for_attempts(runtime: &Runtime, expected: u32) {
    let is_reached = async || {
        let letters = counts(runtime).dead_letters().await.unwrap();
        matches!(letters[0].state, DeadLetterState::Failed { attempts, .. } if attempts == expected)
    };
    let reached = async { while !is_reached().await {} };
    tokio::time::timeout(Duration::from_secs(20), reached)
        .await
        .unwrap();
}

async fn retry_of_one_position_leaves_other_streams(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    // Two streams that fail at their first event; the second event of each is blocked.
    let mut head = Position::ZERO;
    for jar in ["a", "b", "a", "b", "c"] {
        let command = if jar == "c" { "fine" } else { "poison" };
        head = append(
            &engine,
            jar,
            format!(r#"{{"command":"{command}","count":1}}"#),
        )
        .await;
    }
    runtime.wait_for(head).await.unwrap();
    wait_for_dead_letters(&runtime, 4).await;
    assert_eq!(positions(&runtime).await, [1, 2, 3, 4]);

    // Without a fix, a retry changes nothing.
    counts(&runtime).retry(1_u64.into()).await.unwrap();
    wait_for_attempts(&runtime, 3).await;
    assert_eq!(positions(&runtime).await, [1, 2, 3, 4]);
    fixed.store(true, SeqCst);
    counts(&runtime).retry(1_u64.into()).await.unwrap();
    wait_for_dead_letters(&runtime, 2).await;
    assert_eq!(positions(&runtime).await, [2, 4]);
    let jars = backend.jars().await.unwrap();
    assert_eq!(jars.keys().collect::<Vec<_>>(), ["jar-a", "jar-c"]);

    // The later position of a stream retries the earlier one first.
    counts(&runtime).retry(4_u64.into()).await.unwrap();
    wait_for_dead_letters(&runtime, 0).await;
    let events = check::all_events(&engine).await;
    let events = events
        .iter()
        .map(|event| (event.stream.as_str(), event.position.get()));
    assert_eq!(
        backend.jars().await.unwrap(),
        factum_tests::backend::replay(events)
    );
    runtime.stop().await;
    backend.close().await;
}

async fn retry_and_discard_of_another_position_are_errors(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let runtime = run(
        &backend,
        &engine,
        poisoned(&fixed),
        FailurePolicy::DeadLetter,
    )
    .await;
    let head = append(&engine, "a", r#"{"command":"fine","count":1}"#.to_owned()).await;
    runtime.wait_for(head).await.unwrap();

    let retried = counts(&runtime).retry(head).await.unwrap_err();
    let discarded = counts(&runtime)
        .discard(head, "no reason")
        .await
        .unwrap_err();
    for error in [retried, discarded] {
        let is_expected = matches!(
            &error,
            ControlError::NotDeadLettered { name, position } if name == "counts" && *position == head
        );
        assert!(is_expected, "{error:?}");
        let text = error.to_string();
        assert!(text.contains("\"counts\"") && text.contains('1'), "{text}");
    }
    let error = runtime.projection_named("count").unwrap_err();
    let is_expected = matches!(
        &error,
        ControlError::Unknown { kind: "projection", name, known } if name == "count" && known == &["counts"]
    );
    assert!(is_expected, "{error:?}");
    runtime.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    retry_of_one_position_leaves_other_streams;
    retry_and_discard_of_another_position_are_errors;
}
