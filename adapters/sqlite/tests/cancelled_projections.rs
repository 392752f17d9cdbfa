//! Tests of projections that are dropped while they create their tables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use factum::prelude::*;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore, rusqlite};
use tokio::sync::Notify;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Lit,
}

/// A projection that reports that it has begun to create its table, and then waits.
#[derive(Projection, Default, Clone)]
#[projection(name = "lamps", events = LampEvent)]
struct Lamps {
    started: Arc<Notify>,
    resume: Arc<Notify>,
}

impl SqlProjection for Lamps {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {lamp} (number integer)")
            .await?;
        self.started.notify_one();
        self.resume.notified().await;
        Ok(())
    }
}

impl SqlProject<LampEvent> for Lamps {
    async fn project(&self, _: &Recorded<LampEvent>, _: &mut Sql<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_projection_unlocks_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lamps.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let lamps = Lamps::default();
    let runtime = Runtime::builder(&Engine::new(store.clone()))
        .projection(store.read_model(lamps.clone()))
        .start()
        .await
        .unwrap();
    lamps.started.notified().await;
    drop(runtime);
    lamps.resume.notify_one();
    // SQLite treats this connection like one of another process.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    let written =
        tokio::task::spawn_blocking(move || other.execute_batch("begin immediate; commit"));
    written.await.unwrap().unwrap();
    store.close().await;
}
