//! Tests of the connection that writes.

use std::time::Duration;

use factum::Engine;
use factum::Recorded;
use factum::Runtime;
use factum_core::append::{Append, ExpectedVersion};
use factum_core::document::{DocumentChanges, DocumentStore as _};
use factum_core::record::{ContentType, NewEvent};
use factum_core::snapshot::SnapshotStore as _;
use factum_core::store::EventStore as _;
use rusqlite::ffi;

use super::*;
use crate::access::Access;
use crate::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};

fn closed(file: &std::path::Path) -> WriteConnection {
    WriteConnection {
        file: DatabaseFile::new(
            file.to_owned(),
            Duration::from_secs(5),
            Access::ReadWrite { durable: true },
        ),
        opened: None,
    }
}

fn error(code: i32) -> BackendError {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
}

/// Executes `sql` in a transaction that is not ended.
fn execute(writer: &mut WriteConnection, sql: &str) -> Result<(), BackendError> {
    let transaction = writer.begin()?;
    Ok(transaction.connection.execute_batch(sql)?)
}

/// Fails a transaction with `error`, and returns whether the next one uses the same connection.
fn is_kept(writer: &mut WriteConnection, error: &BackendError) -> bool {
    execute(writer, "create temp table if not exists mark (a); commit").unwrap();
    let sql = "insert into factum_stream (key, id) values (1, 'account-1')";
    execute(writer, sql).unwrap();
    writer.reset_after(error);
    let transaction = writer.begin().unwrap();
    let account = "account-1".parse().unwrap();
    let stream = transaction
        .cache
        .stream_state(transaction.connection, &account);
    assert_eq!(stream.unwrap().key, None);
    transaction.end().unwrap();
    execute(writer, "select a from mark").is_ok()
}

#[tokio::test]
async fn failed_connection_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    SqliteStore::open(&file).await.unwrap().close().await;
    let mut writer = closed(&file);
    for code in [ffi::SQLITE_IOERR, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
        assert!(!is_kept(&mut writer, &error(code)), "{code}");
    }
    for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_FULL, ffi::SQLITE_BUSY] {
        assert!(is_kept(&mut writer, &error(code)), "{code}");
    }
    assert!(is_kept(
        &mut writer,
        &rusqlite::Error::QueryReturnedNoRows.into()
    ));
}

#[derive(factum::Event, serde::Serialize, serde::Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Opened {},
}

#[derive(factum::Projection)]
#[projection(name = "opened", events = AccountEvent)]
struct Accounts;

impl SqlProjection for Accounts {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {account} (id text primary key)")
            .await
    }
}

impl SqlProject<AccountEvent> for Accounts {
    async fn project(
        &self,
        event: &Recorded<AccountEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let insert = db.query("insert into {account} (id) values ($1)");
        insert.bind(event.record.stream.key()).execute().await?;
        Ok(())
    }
}

fn opened(account: &str) -> Append {
    let event = NewEvent {
        id: uuid::Uuid::now_v7(),
        name: "account.opened".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: Vec::new(),
        metadata: Default::default(),
        personal: Vec::new(),
    };
    Append::stream(account.parse().unwrap(), ExpectedVersion::Any, vec![event])
}

/// Appends, and returns the data version in the cache of the writer.
async fn cached_data_version(store: &SqliteStore, account: &str) -> i64 {
    store.append(opened(account)).await.unwrap();
    let known = |writer: &mut WriteConnection| {
        let cache = &writer.opened.as_ref().unwrap().cache;
        assert!(!cache.streams.is_empty());
        Ok::<_, StoreError>(cache.data_version.unwrap())
    };
    store.write_lock().run(known).await.unwrap()
}

#[tokio::test]
async fn other_writes_of_the_process_keep_the_writer_cache() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let first = cached_data_version(&store, "account-1").await;
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine).projection(store.read_model(Accounts));
    let runtime = runtime.start().await.unwrap();
    runtime.wait_for(Position::new(1)).await.unwrap();
    runtime.stop().await;
    let more = DocumentChanges::new().put("checkpoint", "2");
    store.change_documents(more).await.unwrap();
    store.clear_snapshots().await.unwrap();
    let rows: i64 = store
        .query("select count(*) from account")
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(rows, 1);
    assert_eq!(cached_data_version(&store, "account-1").await, first);
    let other = SqliteStore::open(&file).await.unwrap();
    other.append(opened("account-1")).await.unwrap();
    assert_ne!(cached_data_version(&store, "account-1").await, first);
}

#[tokio::test]
async fn full_database_is_unavailable_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    store.append(opened("account-1")).await.unwrap();
    let limit = |pages: &'static str| {
        let store = store.clone();
        async move {
            let set = move |writer: &mut WriteConnection| {
                let connection = &writer.opened.as_ref().unwrap().connection;
                let _: i64 = connection.query_row(pages, [], |row| row.get(0)).unwrap();
                Ok::<_, StoreError>(())
            };
            store.write_lock().run(set).await.unwrap();
        }
    };
    limit("pragma max_page_count = 1").await;
    let large = DocumentChanges::new().put("one", format!("{:?}", "x".repeat(100_000)));
    let full = store
        .append(opened("account-1").with_changes(large.clone()))
        .await;
    let unavailable = |error: &factum_core::append::AppendError| {
        matches!(
            error,
            factum_core::append::AppendError::Store(StoreError::Unavailable(_))
        )
    };
    assert!(full.as_ref().is_err_and(unavailable), "{full:?}");
    let full = store.change_documents(large.clone()).await;
    let full = full.unwrap_err().into_store_error();
    assert!(matches!(full, StoreError::Unavailable(_)), "{full:?}");
    limit("pragma max_page_count = 1000000").await;
    let appended = store.append(opened("account-1").with_changes(large)).await;
    assert_eq!(appended.unwrap().position, Position::new(2));
}
