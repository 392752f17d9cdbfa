//! Projections that are dropped while they make their tables.

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

/// Tells that it has begun to make its table, and waits before it ends that.
#[derive(Projection, Default, Clone)]
#[projection(name = "lamps", events = LampEvent)]
struct Lamps {
    begun: Arc<Notify>,
    goes_on: Arc<Notify>,
}

#[async_trait]
impl SqliteProjection for Lamps {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), Error> {
        let sql = db.sql("create table if not exists {lamp} (number integer)");
        sqlx::query(sql).execute(&mut **db).await?;
        self.begun.notify_one();
        self.goes_on.notified().await;
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
async fn projections_that_are_dropped_leave_the_file_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lamps.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let lamps = Lamps::default();
    let projections = Projections::builder(&Engine::new(store.clone()))
        .with(store.read_model(lamps.clone()))
        .start();
    lamps.begun.notified().await;
    drop(projections);
    lamps.goes_on.notify_one();
    // Another process, as far as SQLite can tell.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    let written =
        tokio::task::spawn_blocking(move || other.execute_batch("begin immediate; commit"));
    written.await.unwrap().unwrap();
    store.close().await;
}
