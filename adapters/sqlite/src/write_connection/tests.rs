//! Tests of the connection that writes.

use factum::document::{Changes, DocumentStore as _};
use factum::{
    Append, ContentType, Engine, EventStore as _, ExpectedVersion, NewEvent, Projections, Recorded,
    SnapshotStore as _,
};
use rusqlite::ffi;

use super::*;
use crate::{BoxError, SqliteProject, SqliteProjection, SqliteStore, Tables};

fn closed(file: &std::path::Path) -> WriteConnection {
    WriteConnection {
        file: DatabaseFile::new(file),
        opened: None,
    }
}

fn error(code: i32) -> BackendError {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
}

/// Executes `sql` in a transaction that is not ended.
fn execute(writer: &mut WriteConnection, sql: &str) -> Result<(), BackendError> {
    let mut transaction = writer.begin()?;
    Ok(transaction.connection()?.execute_batch(sql)?)
}

/// Fails a transaction with `error`, and returns whether the next one uses the same connection.
fn is_kept(writer: &mut WriteConnection, error: &BackendError) -> bool {
    execute(writer, "create temp table if not exists mark (a); commit").unwrap();
    let sql = "insert into factum_stream (key, id) values (1, 'account-1')";
    execute(writer, sql).unwrap();
    wait(writer.reset_after(error));
    let transaction = writer.begin().unwrap();
    let connection = wait(transaction.pair.rusqlite()).unwrap();
    let account = "account-1".parse().unwrap();
    let stream = transaction.cache.stream_state(connection, &account);
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
    assert!(!is_kept(&mut writer, &sqlx::Error::WorkerCrashed.into()));
    assert!(is_kept(&mut writer, &sqlx::Error::RowNotFound.into()));
}

#[derive(factum::Event, serde::Serialize, serde::Deserialize)]
#[event(prefix = "account")]
enum AccountEvent {
    Opened {},
}

#[derive(factum::Projection)]
#[projection(name = "opened", events = AccountEvent)]
struct Accounts;

#[factum::async_trait]
impl SqliteProjection for Accounts {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        let sql = db.sql("create table if not exists {account} (id text primary key)");
        sqlx::query(sql).execute(&mut **db).await?;
        Ok(())
    }
}

#[factum::async_trait]
impl SqliteProject<AccountEvent> for Accounts {
    async fn project(
        &self,
        event: &Recorded<AccountEvent>,
        db: &mut Tables<'_>,
    ) -> Result<(), BoxError> {
        let sql = db.sql("insert into {account} (id) values (?)");
        let account = event.record.stream.key();
        sqlx::query(sql).bind(account).execute(&mut **db).await?;
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
    let writer = store.write_lock().lock().await;
    let opened = writer.as_ref().unwrap().opened.as_ref().unwrap();
    assert!(!opened.cache.streams.is_empty());
    opened.cache.data_version.unwrap()
}

#[tokio::test]
async fn other_writes_of_the_process_keep_the_writer_cache() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let first = cached_data_version(&store, "account-1").await;
    let engine = Engine::new(store.clone());
    let accounts = store.read_model(Accounts);
    let projections = Projections::builder(&engine).with(accounts).start();
    projections.wait_for(Position::new(1)).await.unwrap();
    projections.stop().await;
    let more = Changes::new().put("checkpoint", "2");
    store.change_documents(more).await.unwrap();
    store.clear_snapshots().await.unwrap();
    let sql = "select count(*) from account";
    let rows: i64 = sqlx::query_scalar(sql)
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(rows, 1);
    assert_eq!(cached_data_version(&store, "account-1").await, first);
    let other = SqliteStore::open(&file).await.unwrap();
    other.append(opened("account-1")).await.unwrap();
    assert_ne!(cached_data_version(&store, "account-1").await, first);
}
