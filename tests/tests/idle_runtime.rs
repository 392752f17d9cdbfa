//! The cost of a runtime that has nothing to do: a program that is alone on its store writes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::prelude::*;
use factum::runtime::{EventHandler, HandlerError, RuntimeBuilder};
use factum::store::{
    Append, AppendError, Appended, Document, DocumentChanges, DocumentError, DocumentStore,
    EventStore, IdempotencyKey, Page, Read, Revision, Scan, StoreError, async_trait,
};
use factum_memory::MemoryStore;
use factum_tests::load::{Fill, JarEvent};
use tokio::sync::watch;

/// A store that counts its commits: appends and changes of documents.
#[derive(Clone, Default)]
struct CountingStore {
    store: MemoryStore,
    commits: Arc<AtomicU64>,
    is_unavailable: Arc<AtomicBool>,
}

#[async_trait]
impl EventStore for CountingStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.commits.fetch_add(1, SeqCst);
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

#[async_trait]
impl DocumentStore for CountingStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.check()?;
        self.commits.fetch_add(1, SeqCst);
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.check()?;
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.check()?;
        self.store.scan_documents(scan).await
    }
}

impl CountingStore {
    /// Returns an error if the store is unavailable.
    fn check(&self) -> Result<(), StoreError> {
        match self.is_unavailable.load(SeqCst) {
            true => Err(StoreError::Unavailable("the server restarts".into())),
            false => Ok(()),
        }
    }
}

factum::store::delegate!(snapshots, [] CountingStore, |this| this.store);

/// Does nothing.
struct Ignore;

impl EventHandler<JarEvent> for Ignore {
    async fn handle(&self, _: &Recorded<JarEvent>) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// Returns a builder with twenty consumers.
fn twenty_consumers(engine: &Engine) -> RuntimeBuilder {
    let builder = Runtime::builder(engine);
    (0..20).fold(builder, |builder, number| {
        builder.handler(format!("handler-{number}"), Ignore, StartFrom::Beginning)
    })
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn lone_idle_runtime_commits_once_in_ten_seconds_at_most() {
    let store = CountingStore::default();
    let engine = Engine::new(store.clone());
    let runtime = twenty_consumers(&engine).start().await.unwrap();
    let receipt = engine.execute(Fill::new("writer", 1)).await.unwrap();
    runtime.wait_for(receipt.position()).await.unwrap();
    // The start, and the checkpoints of the last event.
    tokio::time::sleep(MINUTE).await;

    let before = store.commits.load(SeqCst);
    tokio::time::sleep(10 * MINUTE).await;
    let commits = store.commits.load(SeqCst) - before;
    assert!(commits <= 60, "{commits} commits in ten minutes");
    runtime.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_idle_nodes_write_one_heartbeat_each() {
    let store = CountingStore::default();
    let lease = Duration::from_secs(30);
    let start = async || {
        let engine = Engine::new(store.clone());
        twenty_consumers(&engine)
            .lease(lease)
            .start()
            .await
            .unwrap()
    };
    let runtimes = [start().await, start().await];
    tokio::time::sleep(10 * MINUTE).await;

    let before = store.commits.load(SeqCst);
    tokio::time::sleep(10 * MINUTE).await;
    let commits = store.commits.load(SeqCst) - before;
    // A heartbeat every third of the lease, of each node, whatever the number of its consumers.
    assert!(
        (100..=125).contains(&commits),
        "{commits} commits in ten minutes"
    );
    for runtime in runtimes {
        runtime.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_resume_after_an_outage_of_the_store() {
    let store = CountingStore::default();
    let start = async || {
        let engine = Engine::new(store.clone());
        twenty_consumers(&engine).start().await.unwrap()
    };
    let runtimes = [start().await, start().await];
    tokio::time::sleep(MINUTE).await;
    // Longer than the lease, so that each node considers the other one dead.
    store.is_unavailable.store(true, SeqCst);
    tokio::time::sleep(2 * MINUTE).await;
    store.is_unavailable.store(false, SeqCst);
    tokio::time::sleep(MINUTE).await;

    let before = store.commits.load(SeqCst);
    tokio::time::sleep(5 * MINUTE).await;
    let commits = store.commits.load(SeqCst) - before;
    // A heartbeat of each node every ten seconds, and no partition that changes hands.
    assert!(
        (50..=65).contains(&commits),
        "{commits} commits in five minutes"
    );
    for runtime in runtimes {
        runtime.stop().await;
    }
}
