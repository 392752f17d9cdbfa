//! Events that a projection rejects until it is fixed.

#![allow(dead_code, reason = "not every test uses every function")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{FailurePolicy, ProjectionHandle};
use factum::store::Scan;
use factum::store::{Append, ContentType, ExpectedVersion, NewEvent};
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::JarEvent;

pub(crate) const TWO_ATTEMPTS: RetryPolicy = RetryPolicy {
    attempts: 2,
    base: Duration::from_millis(1),
    cap: Duration::from_millis(1),
};

/// Appends one event to each jar, in this order, with the name of the jar as the command.
pub(crate) async fn fill(engine: &Engine, jars: &[&str]) -> Position {
    let mut last = Position::ZERO;
    for jar in jars {
        last = append(engine, jar, format!(r#"{{"command":"{jar}","count":1}}"#)).await;
    }
    last
}

pub(crate) async fn append(engine: &Engine, jar: &str, data: String) -> Position {
    let event = NewEvent {
        id: uuid::Uuid::now_v7(),
        name: "jar.filled".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: data.into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    };
    let append = Append::stream(
        format!("jar-{jar}").parse().unwrap(),
        ExpectedVersion::Any,
        vec![event],
    );
    engine.store().append(append).await.unwrap().position
}

/// Returns a projection that fails for the events of the command `poison` until `fixed` is set.
pub(crate) fn poisoned<const V: u32, const P: u16>(fixed: &Arc<AtomicBool>) -> Count<V, P> {
    let fixed = fixed.clone();
    Count {
        on_event: Arc::new(move |event| match &event.event {
            JarEvent::Filled { command, .. } if command == "poison" && !fixed.load(SeqCst) => {
                Err("poison".to_owned())
            }
            JarEvent::Filled { .. } => Ok(()),
        }),
        ..Count::default()
    }
}

pub(crate) async fn run(
    backend: &Backend,
    engine: &Engine,
    count: Count,
    policy: FailurePolicy,
) -> Runtime {
    let builder = Runtime::builder(engine).retry(TWO_ATTEMPTS);
    count
        .on(backend, builder.lease(Duration::from_millis(600)), policy)
        .start()
        .await
        .unwrap()
}

/// Returns the handle of the projection that [`run`] starts.
pub(crate) fn counts(runtime: &Runtime) -> ProjectionHandle {
    runtime.projection::<Count>().unwrap()
}

pub(crate) async fn wait_for_dead_letters(runtime: &Runtime, count: u64) {
    let mut status = counts(runtime).watch();
    let reached = status.wait_for(|status| status.dead_letters == count);
    let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
    reached.unwrap().unwrap();
}

/// Returns the keys of the documents of dead letters that can be retried or discarded.
pub(crate) async fn dead_letter_keys(engine: &Engine) -> Vec<String> {
    let found = engine
        .store()
        .scan_documents(Scan::prefix("dead-letter/waiting/"));
    let found = found.await.unwrap().into_iter();
    found.map(|document| document.key).collect()
}
