//! Tests of the database file: how it is opened, and what happens if it is deleted or replaced meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/events.rs"]
mod events;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use events::{append, append_error, chain, count};
use factum::store::{
    DocumentChanges, DocumentStore as _, EventStore as _, Query, Read, Snapshot,
    SnapshotStore as _, StoreError,
};
use factum::{Engine, Position, Version};
use factum_sqlite::{SqlDatabase as _, SqliteOptions, SqliteStore};

/// The time within which a lost file must be noticed.
const LIMIT: Duration = Duration::from_secs(1);

/// The files of a database.
fn files(file: &Path) -> Vec<PathBuf> {
    let suffixes = ["", "-wal", "-shm"].into_iter();
    suffixes
        .map(|suffix| PathBuf::from(format!("{}{suffix}", file.display())))
        .collect()
}

fn move_files(from: &Path, to: &Path) {
    for (from, to) in files(from).iter().zip(files(to)) {
        fs::rename(from, to).unwrap();
    }
}

async fn open(dir: &Path) -> (PathBuf, SqliteStore) {
    let file = fs::canonicalize(dir).unwrap().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    store.append(append()).await.unwrap();
    (file, store)
}

/// Waits until a read fails, and returns the messages of the error.
async fn read_error(store: &SqliteStore) -> String {
    let started = Instant::now();
    loop {
        match store.read(Read::all(Query::all())).await {
            Err(error) => return chain(&error),
            Ok(_) => assert!(started.elapsed() < LIMIT, "reads do not fail"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn lost(file: &Path) -> String {
    format!(
        "the database file was deleted, moved or replaced while it was open: {}; \
         put the file back, or restart the program",
        file.display()
    )
}

#[tokio::test]
async fn deleted_file_is_noticed_by_every_operation() {
    for deleted in [&[0, 1, 2][..], &[0], &[1]] {
        let dir = tempfile::tempdir().unwrap();
        let (file, store) = open(dir.path()).await;
        let mut subscription = Engine::new(store.clone()).subscribe(Query::all(), Position::new(1));
        let waiting = tokio::spawn(async move { subscription.next_page().await });
        for index in deleted {
            fs::remove_file(&files(&file)[*index]).unwrap();
        }
        let expected = lost(&file);
        // No append is acknowledged, not even the first one.
        assert_eq!(append_error(&store).await, expected);
        assert_eq!(append_error(&store).await, expected);
        assert_eq!(read_error(&store).await, expected);
        let changes = DocumentChanges::new().put("one", "1");
        let changed = store.change_documents(changes).await.unwrap_err();
        assert_eq!(chain(&changed), expected);
        let view = store.begin_read().await.err().unwrap();
        assert_eq!(chain(&view), expected);
        let waited = tokio::time::timeout(LIMIT, waiting).await.unwrap();
        assert_eq!(chain(&waited.unwrap().unwrap_err()), expected);
        store.close().await;
    }
}

#[tokio::test]
async fn reader_notices_a_deleted_file_without_appends() {
    let dir = tempfile::tempdir().unwrap();
    let (file, store) = open(dir.path()).await;
    fs::remove_file(&file).unwrap();
    assert_eq!(read_error(&store).await, lost(&file));
}

#[tokio::test]
async fn replaced_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, store) = open(dir.path()).await;
    let other = file.with_file_name("other.db");
    let replacement = SqliteStore::open(&other).await.unwrap();
    replacement.close().await;
    fs::rename(&other, &file).unwrap();
    assert_eq!(append_error(&store).await, lost(&file));
    assert_eq!(read_error(&store).await, lost(&file));
}

#[tokio::test]
async fn moved_file_works_again_once_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (file, store) = open(dir.path()).await;
    let elsewhere = file.with_file_name("elsewhere.db");
    move_files(&file, &elsewhere);
    assert_eq!(read_error(&store).await, lost(&file));
    move_files(&elsewhere, &file);
    assert_eq!(count(&store).await, 1);
    store.append(append()).await.unwrap();
    assert_eq!(count(&store).await, 2);
    let mut head = store.watch();
    let other = SqliteStore::open(&file).await.unwrap();
    other.append(append()).await.unwrap();
    let seen = head.wait_for(|head| head.get() == 3);
    tokio::time::timeout(LIMIT, seen).await.unwrap().unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn link_is_resolved_once() {
    let dir = tempfile::tempdir().unwrap();
    for release in ["one", "two"] {
        std::fs::create_dir(dir.path().join(release)).unwrap();
    }
    let current = dir.path().join("current");
    std::os::unix::fs::symlink(dir.path().join("one"), &current).unwrap();
    let store = SqliteStore::open(current.join("store.db")).await.unwrap();
    std::fs::remove_file(&current).unwrap();
    std::os::unix::fs::symlink(dir.path().join("two"), &current).unwrap();
    store.append(append()).await.unwrap();
    assert_eq!(count(&store).await, 1);
    assert!(dir.path().join("one/store.db").exists());
    assert!(!dir.path().join("two/store.db").exists());
}

#[tokio::test]
async fn missing_file_is_rejected_if_it_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let file = root.join("bank.db");
    let missing = SqliteOptions::new(&file).must_exist().open().await;
    let expected = format!(
        "cannot open the store: the file does not exist: {}; open it without `must_exist` to create it",
        file.display()
    );
    assert_eq!(missing.unwrap_err().to_string(), expected);
    assert!(!file.exists());
    fs::write(&file, "").unwrap();
    let empty = SqliteOptions::new(&file).must_exist().open().await;
    let empty = empty.unwrap_err().to_string();
    assert!(empty.contains("the file contains no store"), "{empty}");
    fs::remove_file(&file).unwrap();
    SqliteStore::open(&file).await.unwrap().close().await;
    let store = SqliteOptions::new(&file).must_exist().open().await.unwrap();
    store.append(append()).await.unwrap();
}

#[tokio::test]
async fn file_that_is_no_database_is_named_in_the_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::canonicalize(dir.path()).unwrap().join("notes.txt");
    fs::write(
        &file,
        "no database at all, but long enough to be taken for one ".repeat(100),
    )
    .unwrap();
    for options in [
        SqliteOptions::new(&file),
        SqliteOptions::new(&file).read_only(),
    ] {
        let error = options.open().await.unwrap_err().to_string();
        let expected = format!(
            "cannot open the store: the file is not a SQLite database: {}; give the path of another file",
            file.display()
        );
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn read_only_store_reads_and_rejects_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (file, writer) = open(dir.path()).await;
    let store = SqliteOptions::new(&file).read_only().open().await.unwrap();
    let mut head = store.watch();
    writer.append(append()).await.unwrap();
    let seen = head.wait_for(|head| head.get() == 2);
    tokio::time::timeout(LIMIT, seen).await.unwrap().unwrap();
    assert_eq!(count(&store).await, 2);
    let expected = "the store was opened to read only; open it without `read_only` to write";
    assert_eq!(append_error(&store).await, expected);
    let changed = store.change_documents(DocumentChanges::new().put("one", "1"));
    assert_eq!(chain(&changed.await.unwrap_err()), expected);
    let snapshot = Snapshot {
        stream: "account-1".parse().unwrap(),
        version: Version::new(1),
        position: Position::new(1),
        schema_version: 1,
        data: "{}".into(),
    };
    let saved = store.save_snapshot(snapshot).await.unwrap_err();
    assert!(matches!(saved, StoreError::ReadOnly), "{saved:?}");
    let cleared = store.clear_snapshots().await.unwrap_err();
    assert!(matches!(cleared, StoreError::ReadOnly), "{cleared:?}");
    let ran = store.transaction(Box::new(|_| Box::pin(async { unreachable!() })));
    assert_eq!(chain(&ran.await.unwrap_err()), expected);
    writer.close().await;
    assert_eq!(count(&store).await, 2);
    store.close().await;
    assert!(matches!(store.append(append()).await, Err(error) if chain(&error) == expected));
}

#[tokio::test]
async fn read_only_store_requires_the_current_schema() {
    let dir = tempfile::tempdir().unwrap();
    let (file, store) = open(dir.path()).await;
    store.close().await;
    let connection = factum_sqlite::rusqlite::Connection::open(&file).unwrap();
    for (version, expected) in [
        (0, "schema version 0 is older than this program's version"),
        (99, "the store has schema version 99"),
    ] {
        connection
            .execute("update factum_schema set version = ?", [version])
            .unwrap();
        let rejected = SqliteOptions::new(&file).read_only().open().await;
        let rejected = rejected.unwrap_err().to_string();
        assert!(rejected.contains(expected), "{rejected}");
    }
    connection.execute("drop table factum_schema", ()).unwrap();
    let rejected = SqliteOptions::new(&file).read_only().open().await;
    let rejected = rejected.unwrap_err().to_string();
    assert!(
        rejected.contains("the file contains no store"),
        "{rejected}"
    );
}

#[tokio::test]
async fn settings_out_of_range_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let options = || SqliteOptions::new(dir.path().join("bank.db"));
    for readers in [0, 1_001, u32::MAX] {
        let error = options().readers(readers).open().await.unwrap_err();
        let expected = format!(
            "cannot open the store: invalid number of readers: {readers}; expected 1 to 1000"
        );
        assert_eq!(error.to_string(), expected);
    }
    for timeout in [Duration::MAX, Duration::from_secs(3_601)] {
        let error = options().busy_timeout(timeout).open().await.unwrap_err();
        let expected = format!(
            "cannot open the store: busy timeout is too long: {}s; the limit is 3600s",
            timeout.as_secs()
        );
        assert_eq!(error.to_string(), expected);
    }
    assert!(!dir.path().join("bank.db").exists());
    let extreme = options()
        .readers(1_000)
        .busy_timeout(Duration::from_secs(3_600));
    assert_eq!(count(&extreme.open().await.unwrap()).await, 0);
}
