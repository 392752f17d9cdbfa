//! Tests of backups of a store in use, and of stores in temporary files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/events.rs"]
mod events;
#[path = "support/mount.rs"]
mod mount;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use events::{append, chain, count};
use factum::store::{DocumentChanges, DocumentStore as _, EventStore as _, StoreError};
use factum_sqlite::{SqliteOptions, SqliteStore};

/// Returns the number of events by the SQL view, which needs no pages.
async fn total(store: &SqliteStore) -> i64 {
    let sql = "select count(*) from events";
    store.query(sql).fetch_one().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_is_one_state_of_a_store_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (store, acknowledged, done) = (store.clone(), acknowledged.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(SeqCst) {
                let count = DocumentChanges::new().put("count", "1");
                let appended = store.append(append().with_changes(count)).await.unwrap();
                acknowledged.store(appended.position.get(), SeqCst);
            }
        })
    };
    let mut heads = Vec::new();
    for number in 0..5 {
        let before = acknowledged.load(SeqCst);
        while acknowledged.load(SeqCst) < before + 50 {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.load(SeqCst);
        let target = dir.path().join(format!("{number}.db"));
        let head = store.backup(&target).await.unwrap();
        assert!(head.get() >= before, "{head} is before {before}");
        let copy = SqliteOptions::new(&target)
            .must_exist()
            .open()
            .await
            .unwrap();
        assert_eq!(total(&copy).await, head.get() as i64);
        let documents = copy.find_documents(&["count".to_owned()]).await.unwrap();
        assert_eq!(documents[0].revision.get(), head.get());
        // The copy is a store of its own.
        let appended = copy.append(append()).await.unwrap();
        assert_eq!(appended.position.get(), head.get() + 1);
        copy.close().await;
        heads.push(head);
    }
    assert!(heads.is_sorted(), "{heads:?}");
    done.store(true, SeqCst);
    writer.await.unwrap();
    let partial = std::fs::read_dir(dir.path()).unwrap();
    let names: Vec<_> = partial.map(|entry| entry.unwrap().file_name()).collect();
    let is_partial = |name: &std::ffi::OsString| name.to_string_lossy().contains("partial");
    assert!(!names.iter().any(is_partial), "{names:?}");
}

#[tokio::test]
async fn backup_replaces_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    store.append(append()).await.unwrap();
    let target = dir.path().join("copy.db");
    std::fs::write(&target, "notes").unwrap();
    for taken in [&target, &file] {
        let error = chain(&store.backup(taken).await.unwrap_err());
        assert!(
            error.contains("choose a name that is not in use"),
            "{error}"
        );
    }
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "notes");
    let missing = store.backup(dir.path().join("no/copy.db")).await;
    assert!(missing.is_err());
    assert_eq!(count(&store).await, 1);
    let reader = SqliteOptions::new(&file).read_only().open().await.unwrap();
    let head = reader.backup(dir.path().join("of-reader.db")).await;
    assert_eq!(head.unwrap().get(), 1);
    store.close().await;
    let closed = store.backup(dir.path().join("late.db")).await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
}

#[tokio::test]
async fn backup_to_a_full_disk_leaves_no_file() {
    let Some(mount) = mount::Mount::new("64k") else {
        return;
    };
    let store = SqliteStore::temporary().await.unwrap();
    let large = DocumentChanges::new().put("large", format!("{:?}", "x".repeat(1_000_000)));
    store.change_documents(large).await.unwrap();
    let full = store.backup(mount.path().join("copy.db")).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    assert_eq!(std::fs::read_dir(mount.path()).unwrap().count(), 0);
}

/// Returns the path of the database file.
async fn path(store: &SqliteStore) -> PathBuf {
    let sql = "select file from pragma_database_list where name = 'main'";
    let file: String = store.query(sql).fetch_one().await.unwrap();
    file.into()
}

#[tokio::test]
async fn temporary_store_is_removed_at_its_end() {
    let store = SqliteStore::temporary().await.unwrap();
    let other = SqliteStore::temporary().await.unwrap();
    store.append(append()).await.unwrap();
    let clone = store.clone();
    assert_eq!((count(&clone).await, count(&other).await), (1, 0));
    let files = [path(&store).await, path(&other).await];
    assert!(files[0].exists() && files[1].exists());
    store.close().await;
    drop(other);
    for file in files {
        assert!(!file.parent().unwrap().exists(), "{}", file.display());
    }
    assert!(
        matches!(clone.append(append()).await, Err(error) if chain(&error) == "the store is closed")
    );
}
