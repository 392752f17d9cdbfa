//! A full disk: nothing is acknowledged that is lost, projections wait, and all continues once there is room.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/events.rs"]
mod events;
#[path = "support/mount.rs"]
mod mount;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use events::{count, event};
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::ConsumerState;
use factum::store::{
    Append, AppendError, DocumentChanges, DocumentError, DocumentStore as _, EventStore as _,
    ExpectedVersion, StoreError,
};
use factum_sqlite::{
    BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteOptions, SqliteStore,
};
use mount::Mount;
use tokio::sync::Barrier;

/// A time limit for waits that must end.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Event, Debug, Clone, Serialize, Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Opened { owner: String },
}

/// Stores every event under its position.
#[derive(Projection, Clone, Default)]
#[projection(name = "owners", events = AccountEvent)]
struct Owners {
    /// Set once it was called.
    was_called: Arc<AtomicBool>,
    /// If it is set, the projection waits for it before its statement.
    gate: Option<Arc<Barrier>>,
}

impl SqlProjection for Owners {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {owner} (position bigint primary key, name text)")
            .await
    }
}

impl SqlProject<AccountEvent> for Owners {
    async fn project(
        &self,
        event: &Recorded<AccountEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let AccountEvent::Opened { owner } = &event.event;
        if !self.was_called.swap(true, SeqCst)
            && let Some(gate) = &self.gate
        {
            // Once when it has begun, and once when it may continue.
            gate.wait().await;
            gate.wait().await;
        }
        let insert = db.query("insert into {owner} (position, name) values ($1, $2)");
        insert
            .bind(event.record.position)
            .bind(owner)
            .execute()
            .await?;
        Ok(())
    }
}

fn append(bytes: usize) -> Append {
    let owner = format!(r#"{{"owner":"{}"}}"#, "x".repeat(bytes));
    let stream = "account-1".parse().unwrap();
    Append::stream(stream, ExpectedVersion::Any, vec![event(owner)])
}

/// Writes a file until the disk is full.
fn fill(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("filler");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    path
}

fn few_retries() -> RetryPolicy {
    RetryPolicy {
        attempts: 3,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(20),
    }
}

async fn rows(store: &SqliteStore) -> i64 {
    let sql = "select count(*) from owner";
    store.query(sql).fetch_one().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_stops_nothing_for_good() {
    for is_inline in [false, true] {
        let Some(mount) = Mount::new("8m") else {
            return;
        };
        let file = mount.path().join("bank.db");
        let options = SqliteOptions::new(&file);
        let options = match is_inline {
            true => options.inline(Owners::default()),
            false => options,
        };
        let store = options.open().await.unwrap();
        let engine = Engine::new(store.clone());
        let builder = Runtime::builder(&engine).projection(store.read_model(Owners::default()));
        let runtime = builder.retry(few_retries()).start().await.unwrap();
        let owners = runtime.projection::<Owners>().unwrap();
        let first = store.append(append(10)).await.unwrap();
        owners.wait_for(first.position).await.unwrap();

        let filler = fill(mount.path());
        // The write-ahead log has a little room left in its last block.
        let mut acknowledged = 1;
        let full = loop {
            match store.append(append(500)).await {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(full, AppendError::Store(StoreError::Unavailable(_))),
            "{full:?}"
        );
        for _ in 0..5 {
            let large = append(100_000);
            let full = store.append(large).await.unwrap_err();
            assert!(
                matches!(full, AppendError::Store(StoreError::Unavailable(_))),
                "{full:?}"
            );
            let changes = DocumentChanges::new().put("one", format!("{:?}", "x".repeat(100_000)));
            let full = store.change_documents(changes).await.unwrap_err();
            assert!(
                matches!(full, DocumentError::Store(StoreError::Unavailable(_))),
                "{full:?}"
            );
        }
        // Reads need no room.
        assert_eq!(count(&store).await, acknowledged);

        std::fs::remove_file(filler).unwrap();
        let last = store.append(append(100_000)).await.unwrap();
        acknowledged += 1;
        assert_eq!(last.position.get(), acknowledged as u64);
        let caught_up = owners.wait_for(last.position);
        tokio::time::timeout(LIMIT, caught_up)
            .await
            .unwrap()
            .unwrap();
        assert!(owners.dead_letters().await.unwrap().is_empty());
        assert_eq!(rows(&store).await, acknowledged as i64);
        runtime.stop().await;
        store.close().await;
        let store = SqliteStore::open(&file).await.unwrap();
        assert_eq!(count(&store).await, acknowledged);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn projection_waits_for_room_without_dead_letters() {
    let Some(mount) = Mount::new("8m") else {
        return;
    };
    let store = SqliteStore::open(mount.path().join("bank.db"))
        .await
        .unwrap();
    let gate = Arc::new(Barrier::new(2));
    let projection = Owners {
        was_called: Arc::default(),
        gate: Some(gate.clone()),
    };
    let engine = Engine::new(store.clone());
    let builder = Runtime::builder(&engine).projection(store.read_model(projection));
    let runtime = builder.retry(few_retries()).start().await.unwrap();
    let owners = runtime.projection::<Owners>().unwrap();
    let appended = store.append(append(100_000)).await.unwrap();
    gate.wait().await;
    let filler = fill(mount.path());
    gate.wait().await;
    let mut status = owners.watch();
    // More attempts than the retry policy allows for an event that fails.
    for _ in 0..10 {
        let failed = status.wait_for(|status| status.state == ConsumerState::Retrying);
        let failed = tokio::time::timeout(LIMIT, failed).await.unwrap();
        let error = failed.unwrap().last_error.clone().unwrap();
        assert!(error.contains("database or disk is full"), "{error}");
        tokio::time::timeout(LIMIT, status.changed())
            .await
            .unwrap()
            .unwrap();
    }
    std::fs::remove_file(filler).unwrap();
    let caught_up = owners.wait_for(appended.position);
    tokio::time::timeout(LIMIT, caught_up)
        .await
        .unwrap()
        .unwrap();
    assert!(owners.dead_letters().await.unwrap().is_empty());
    assert_eq!(rows(&store).await, 1);
    runtime.stop().await;
    store.close().await;
}
