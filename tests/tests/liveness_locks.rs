//! Nodes on one SQLite file, whose leases are much longer than the tests: only a liveness lock proves that a node is dead.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use factum::prelude::*;
use factum::runtime::{ConsumerHandle, ConsumerState, EventHandler, HandlerError};
use factum::store::DocumentStore as _;
use factum_sqlite::{SqliteOptions, SqliteStore};
use tokio::time::timeout;

/// The duration of a lease.
const LEASE: Duration = Duration::from_secs(600);
/// The time in which a node takes over, which is much shorter than a lease.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    Rang,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "bell", id = u64, event = BellEvent)]
struct Bell;

impl Apply<BellEvent> for Bell {
    fn apply(&mut self, _: &BellEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Bell)]
struct Ring {
    #[id]
    bell: u64,
}

impl Decide for Ring {
    type Error = Infallible;

    fn decide(&self, _: &Bell) -> Result<Events<BellEvent>, Infallible> {
        Ok(BellEvent::Rang.into())
    }
}

struct Ignore;

impl EventHandler<BellEvent> for Ignore {
    async fn handle(&self, _: &Recorded<BellEvent>) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// A node on a file, and its event handler.
struct TestNode {
    store: SqliteStore,
    engine: Engine,
    runtime: Runtime,
    handler: ConsumerHandle,
}

impl TestNode {
    async fn start(file: &Path) -> Self {
        let store = SqliteStore::open(file).await.unwrap();
        let engine = Engine::new(store.clone());
        let runtime = Runtime::builder(&engine)
            .lease(LEASE)
            .handler("ignore", Ignore, StartFrom::Beginning)
            .start()
            .await
            .unwrap();
        let handler = runtime.handler("ignore").unwrap();
        Self {
            store,
            engine,
            runtime,
            handler,
        }
    }

    /// Processes a new event, on any node.
    async fn ring(&self) {
        let rung = self
            .engine
            .execute(Ring { bell: 1 })
            .and_wait(&self.handler);
        timeout(LIMIT, rung.into_future()).await.unwrap().unwrap();
    }

    async fn wait_for_state(&self, state: ConsumerState) {
        let mut status = self.handler.watch();
        let reached = status.wait_for(|status| status.state == state);
        drop(timeout(LIMIT, reached).await.unwrap().unwrap());
    }

    fn holder(&self) -> Option<uuid::Uuid> {
        self.handler.status().nodes[0]
    }
}

/// A store that is closed releases its lock, as one does whose process is killed. The lease and the heartbeat remain.
#[tokio::test]
async fn lease_of_dead_node_is_taken_over_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bells.db");
    let first = TestNode::start(&file).await;
    first.ring().await;
    let second = TestNode::start(&file).await;
    second.wait_for_state(ConsumerState::OnOtherNode).await;
    first.store.close().await;
    second.ring().await;
    assert_eq!(second.holder(), Some(second.runtime.node()));

    // A node that starts later takes over, too.
    second.store.close().await;
    let third = TestNode::start(&file).await;
    third.ring().await;
    assert_eq!(third.holder(), Some(third.runtime.node()));
    third.runtime.stop().await;
    third.store.close().await;
    let files = dir.path().read_dir().unwrap().count();
    assert_eq!(files, 1, "only the database remains");
}

#[tokio::test]
async fn lease_of_live_node_is_not_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bells.db");
    let first = TestNode::start(&file).await;
    first.ring().await;
    let second = TestNode::start(&file).await;
    second.wait_for_state(ConsumerState::OnOtherNode).await;
    // Stores that are opened and closed meanwhile prove nothing about others.
    let reader = SqliteOptions::new(&file).read_only().open().await.unwrap();
    assert_eq!(reader.liveness_lock(), None);
    reader.close().await;
    let backup = dir.path().join("backup.db");
    first.store.backup(&backup).await.unwrap();
    SqliteStore::open(&file).await.unwrap().close().await;
    for _ in 0..20 {
        second.ring().await;
        assert_eq!(second.holder(), Some(first.runtime.node()));
    }

    // The nodes of the file do not belong to its copy.
    let copied = TestNode::start(&backup).await;
    copied.ring().await;
    assert_eq!(copied.holder(), Some(copied.runtime.node()));
    for node in [copied, second, first] {
        node.runtime.stop().await;
        node.store.close().await;
    }
}
