//! The span of a batch of appends.
//!
//! It needs its own test binary, because the writer thread only uses the global subscriber.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use factum::Engine;
use factum_sqlite::SqliteStore;
use factum_tests::load::Fill;
use tracing::span::Id;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// The names of spans and of the spans that they follow from.
#[derive(Clone, Default)]
struct Links(Arc<Mutex<Vec<(&'static str, &'static str)>>>);

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Links {
    fn on_follows_from(&self, span: &Id, from: &Id, spans: Context<'_, S>) {
        let name = |id| spans.span(id).unwrap().name();
        self.0.lock().unwrap().push((name(span), name(from)));
    }
}

#[tokio::test]
async fn batch_span_follows_from_each_append() {
    let links = Links::default();
    let subscriber = tracing_subscriber::registry().with(links.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("jars.db")).await.unwrap();
    let engine = Engine::new(store.clone());
    for turn in 0..2 {
        engine.execute(Fill::new("one", turn)).await.unwrap();
    }
    store.close().await;
    assert_eq!(*links.0.lock().unwrap(), [("batch", "append"); 2]);
}
