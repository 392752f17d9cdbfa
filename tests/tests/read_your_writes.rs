//! `execute(..).and_wait(..)`: a command whose effects are visible in a read model once it returns.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/poison.rs"]
mod poison;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use factum::engine::ExecuteAndWaitError;
use factum::prelude::*;
use factum::runtime::{FailurePolicy, WaitError};
use factum_tests::backend::{Backend, CountJars};
use factum_tests::load::{Fill, JarEvent};

use poison::{append, counts, poisoned, run};

async fn command_returns_when_its_effects_are_visible(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let runtime = backend
        .runtime(&engine, CountJars::default())
        .await
        .unwrap();
    let jars = runtime.projection::<CountJars>().unwrap();
    for turn in 1..=20 {
        let receipt = engine
            .execute(Fill::new("writer", turn))
            .and_wait(&jars)
            .await;
        let receipt = receipt.unwrap();
        // Each command stores two events in the writer's own jar.
        let (count, _) = backend.jars().await.unwrap()["jar-writer"];
        assert_eq!(count as u64, 2 * turn);
        assert!(jars.status().position >= receipt.position());
    }
    runtime.stop().await;
    backend.close().await;
}

async fn failed_wait_returns_the_receipt(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let fixed = Arc::new(AtomicBool::new(false));
    let runtime = run(&backend, &engine, poisoned(&fixed), FailurePolicy::Stop).await;
    append(&engine, "a", r#"{"command":"poison","count":1}"#.to_owned()).await;

    let jars = counts(&runtime);
    let error = engine.execute(Fill::new("writer", 1)).and_wait(&jars).await;
    let Err(ExecuteAndWaitError::Wait { receipt, error }) = error else {
        panic!("{error:?}")
    };
    assert!(matches!(error, WaitError::Stopped { .. }), "{error:?}");
    assert_eq!(receipt.position().get(), 1 + receipt.events().len() as u64);
    let stored: Vec<_> = receipt.events().iter().map(DecodeEvent::decode).collect();
    assert!(
        stored
            .iter()
            .all(|event| matches!(event, Ok(JarEvent::Filled { .. }))),
        "{stored:?}"
    );
    runtime.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    command_returns_when_its_effects_are_visible;
    failed_wait_returns_the_receipt;
}
