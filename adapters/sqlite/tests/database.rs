//! Tests of the database file: its schema, its view, opening, closing and locks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use factum::Version;
use factum::store::Metadata;
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read, StoreError,
};
use factum_sqlite::{SqliteStore, rusqlite};
use uuid::Uuid;

fn event(name: &'static str, data: &str) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        name: name.into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: Bytes::from(data.to_owned()),
        tags: vec!["owner:ada".to_owned().try_into().unwrap()],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    }
}

fn opened() -> Append {
    let stream = "account-1".parse().unwrap();
    let events = vec![
        event("account.opened", r#"{"owner":"Ada"}"#),
        event("account.deposited", r#"{"amount":30}"#),
    ];
    Append::stream(stream, ExpectedVersion::NoStream, events)
}

#[tokio::test]
async fn events_view_shows_readable_json() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    store.append(opened()).await.unwrap();
    type Row = (i64, String, i64, String, String, String);
    let rows: Vec<Row> = store
        .query("select position, stream, version, name, data, tags from events")
        .fetch_all()
        .await
        .unwrap();
    let stream = "account-1".to_owned();
    let tags = r#"["owner:ada"]"#.to_owned();
    let first = (
        1,
        stream.clone(),
        1,
        "account.opened".to_owned(),
        r#"{"owner":"Ada"}"#.to_owned(),
        tags.clone(),
    );
    let second = (
        2,
        stream,
        2,
        "account.deposited".to_owned(),
        r#"{"amount":30}"#.to_owned(),
        tags,
    );
    assert_eq!(rows, [first, second]);
}

#[tokio::test]
async fn reopened_file_has_the_appended_events() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let appended = store.append(opened()).await.unwrap();
    let before = store.read(Read::all(Query::all())).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(&file).await.unwrap();
    let after = store.read(Read::all(Query::all())).await.unwrap();
    assert_eq!(before, after);
    assert_eq!(after.head, appended.position);
    let third = Append::stream(
        "account-1".parse().unwrap(),
        ExpectedVersion::Exact(Version::new(2)),
        vec![event("account.closed", "null")],
    );
    assert_eq!(store.append(third).await.unwrap().position.get(), 3);
}

#[tokio::test]
async fn closed_store_returns_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    let mut head = store.watch();
    store.close().await;
    let read = store.read(Read::all(Query::all())).await;
    assert!(matches!(read, Err(StoreError::Closed)), "{read:?}");
    let append = store.append(opened()).await;
    assert!(
        matches!(
            append,
            Err(factum::store::AppendError::Store(StoreError::Closed))
        ),
        "{append:?}"
    );
    assert!(head.changed().await.is_err());
}

#[tokio::test]
async fn newer_schema_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    SqliteStore::open(&file).await.unwrap().close().await;
    let connection = rusqlite::Connection::open(&file).unwrap();
    let newer = connection.execute("update factum_schema set version = 7", ());
    newer.unwrap();
    let rejected = SqliteStore::open(&file).await.unwrap_err();
    assert_eq!(
        rejected.to_string(),
        "the store has schema version 7, this program supports up to 2; update the program"
    );
}

#[tokio::test]
async fn concurrent_opens_of_a_new_file_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let opening = (0..10).map(|_| SqliteStore::open(file.clone()));
    let stores = futures_util::future::try_join_all(opening).await.unwrap();
    stores[0].append(opened()).await.unwrap();
    let page = stores[9].read(Read::all(Query::all())).await.unwrap();
    assert_eq!(page.events.len(), 2);
}

#[tokio::test]
async fn file_that_is_not_a_database_is_rejected_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes.txt");
    let text = "no database at all, but long enough to be taken for one ".repeat(100);
    std::fs::write(&file, &text).unwrap();
    let rejected = SqliteStore::open(&file).await.unwrap_err();
    assert!(
        matches!(rejected, StoreError::CannotOpen(_)),
        "{rejected:?}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn query_rejects_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    let rejected = store.query("delete from factum_event").execute().await;
    let rejected = rejected.unwrap_err();
    let cause = std::error::Error::source(&rejected).unwrap().to_string();
    assert!(cause.contains("readonly"), "{cause}");
}

#[tokio::test]
async fn locked_file_is_unavailable_until_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let store = factum_sqlite::SqliteOptions::new(&file)
        .busy_timeout(std::time::Duration::from_millis(50))
        .open()
        .await
        .unwrap();
    let holder = rusqlite::Connection::open(&file).unwrap();
    holder.execute_batch("begin immediate").unwrap();
    let busy = store.append(opened()).await;
    let unavailable = |error: &_| {
        matches!(
            error,
            factum::store::AppendError::Store(StoreError::Unavailable(_))
        )
    };
    assert!(busy.as_ref().is_err_and(unavailable), "{busy:?}");
    // Reads do not wait for the lock.
    assert_eq!(
        store
            .read(Read::all(Query::all()))
            .await
            .unwrap()
            .events
            .len(),
        0
    );
    holder.execute_batch("rollback").unwrap();
    assert_eq!(store.append(opened()).await.unwrap().count, 2);
}
