//! Tests of projections that are dropped while they create their tables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use factum::prelude::*;
use factum_sqlite::{
    BoxError, SqliteProject, SqliteProjection, SqliteStore, Tables,
    sqlx::{self, Error},
};
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

#[async_trait]
impl SqliteProjection for Lamps {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), Error> {
        let sql = db.sql("create table if not exists {lamp} (number integer)");
        sqlx::query(sql).execute(&mut **db).await?;
        self.started.notify_one();
        self.resume.notified().await;
        Ok(())
    }
}

#[async_trait]
impl SqliteProject<LampEvent> for Lamps {
    async fn project(&self, _: &Recorded<LampEvent>, _: &mut Tables<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_projection_unlocks_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lamps.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let lamps = Lamps::default();
    let projections = Projections::builder(&Engine::new(store.clone()))
        .with(store.read_model(lamps.clone()))
        .start();
    lamps.started.notified().await;
    drop(projections);
    lamps.resume.notify_one();
    // SQLite treats this connection like one of another process.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    let written =
        tokio::task::spawn_blocking(move || other.execute_batch("begin immediate; commit"));
    written.await.unwrap().unwrap();
    store.close().await;
}
