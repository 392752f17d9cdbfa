//! Events that a projection cannot take until it is mended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::document::Scan;
use factum::prelude::*;
use factum::{
    Append, ContentType, ExpectedVersion, FailurePolicy, NewEvent, Position, RetryPolicy,
};
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::JarEvent;

pub(crate) const TWICE: RetryPolicy = RetryPolicy {
    attempts: 2,
    base: Duration::from_millis(1),
    cap: Duration::from_millis(1),
};

/// One event for each jar, in this order, under the jar's own name.
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

/// Rejects what a jar named `poison` holds, until it is mended.
pub(crate) fn poisoned<const V: u32, const P: u16>(mended: &Arc<AtomicBool>) -> Count<V, P> {
    let mended = mended.clone();
    Count {
        on_event: Arc::new(move |event| match &event.event {
            JarEvent::Filled { command, .. } if command == "poison" && !mended.load(SeqCst) => {
                Err("poison".to_owned())
            }
            JarEvent::Filled { .. } => Ok(()),
        }),
        ..Count::default()
    }
}

pub(crate) fn run(
    backend: &Backend,
    engine: &Engine,
    count: Count,
    failures: FailurePolicy,
) -> Projections {
    let builder = Projections::builder(engine).retry(TWICE);
    count
        .on(backend, builder.lease(Duration::from_millis(600)), failures)
        .start()
}

pub(crate) async fn wait_for_dead_letters(projections: &Projections, count: u64) {
    let mut status = projections.watch("counts").unwrap();
    let parked = status.wait_for(|status| status.parked == count);
    let parked = tokio::time::timeout(Duration::from_secs(20), parked).await;
    parked.unwrap().unwrap();
}

/// The keys of the documents that are read to learn what waits.
pub(crate) async fn dead_letter_keys(engine: &Engine) -> Vec<String> {
    let found = engine.store().scan_documents(Scan::prefix("parked/"));
    let found = found.await.unwrap().into_iter();
    found.map(|document| document.key).collect()
}
