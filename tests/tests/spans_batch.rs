//! The span of a batch follows from the append of each command in it. A process of its own: the thread that writes
//! knows the subscriber of the process alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use factum::Engine;
use factum_sqlite::SqliteStore;
use factum_tests::load::Fill;
use tracing::span::Id;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// Which span follows from which, by their names.
#[derive(Clone, Default)]
struct Links(Arc<Mutex<Vec<(&'static str, &'static str)>>>);

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Links {
    fn on_follows_from(&self, span: &Id, from: &Id, spans: Context<'_, S>) {
        let name = |id| spans.span(id).unwrap().name();
        self.0.lock().unwrap().push((name(span), name(from)));
    }
}

#[tokio::test]
async fn a_batch_follows_from_each_append_in_it() {
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
