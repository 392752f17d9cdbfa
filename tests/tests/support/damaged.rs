//! An intact SQLite file of a store, and copies with a damaged value.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use factum::StreamId;
use factum::prelude::*;
use factum::store::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Tag};
use factum_sqlite::rusqlite::{Connection, ToSql, types::Null};
use factum_sqlite::{SqliteOptions, SqliteStore};

use crate::bank::{Account, Deposit, Open};

/// A value of any SQLite type, or a text that is not valid UTF-8.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
    InvalidText(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(crate) struct Damage {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: i64,
    pub(crate) value: Value,
}

pub(crate) fn stream(id: &str) -> StreamId {
    id.parse().unwrap()
}

/// An intact file with an idempotency key, a snapshot and seven events.
///
/// Four events are of account 1, two of account 2, and one has binary data.
pub(crate) static INTACT_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("intact.db");
        let store = SqliteStore::open(&file).await.unwrap();
        let engine = Engine::new(store.clone());
        engine.execute(Open::<4>(1, 50)).by("ada").await.unwrap();
        engine.execute(Open::<4>(2, 0)).await.unwrap();
        let deposit = engine.execute(Deposit::<4>(1, 30)).by("ada");
        deposit.idempotency_key("key").await.unwrap();
        engine.execute(Deposit::<4>(2, 5)).await.unwrap();
        let bytes = NewEvent {
            id: uuid::Uuid::now_v7(),
            name: "raw.taken".into(),
            schema_version: 1,
            content_type: ContentType::from("application/octet-stream"),
            data: vec![0, 255, 1].into(),
            tags: vec![Tag::new("k", 1).unwrap()],
            metadata: Default::default(),
            personal: Vec::new(),
        };
        let append = Append::stream(stream("raw-1"), ExpectedVersion::NoStream, vec![bytes]);
        store.append(append).await.unwrap();
        // The engine stores snapshots in the background; here one must exist.
        let account = engine.load::<Account<4>>(&1).await.unwrap();
        let snapshot = factum::store::Snapshot {
            stream: stream("account-1"),
            version: account.version(),
            position: account.position(),
            schema_version: 1,
            data: serde_json::to_vec(&*account).unwrap().into(),
        };
        factum::store::SnapshotStore::save_snapshot(&store, snapshot)
            .await
            .unwrap();
        store.close().await;
        std::fs::read(&file).unwrap()
    })
});

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let bounded = async { tokio::time::timeout(Duration::from_secs(20), future).await };
    runtime
        .unwrap()
        .block_on(bounded)
        .expect("the future timed out")
}

/// Writes the value without the store. Returns `false` if SQLite itself rejects the value.
fn write(file: &Path, damage: &Damage) -> bool {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "foreign_keys", 0).unwrap();
    let value = if matches!(damage.value, Value::InvalidText(_)) {
        "cast(?1 as text)"
    } else {
        "?1"
    };
    let Damage {
        table, column, row, ..
    } = damage;
    // One table has no row ids, and contains one row.
    let filter = if *table == "factum_idempotency" {
        "?2 > 0"
    } else {
        "rowid = ?2"
    };
    let sql = format!("update {table} set {column} = {value} where {filter}");
    let value: &dyn ToSql = match &damage.value {
        Value::Null => &Null,
        Value::Integer(value) => value,
        Value::Real(value) => value,
        Value::Text(value) => value,
        Value::Bytes(value) | Value::InvalidText(value) => value,
    };
    let written = connection.execute(&sql, (value, row));
    written == Ok(1)
}

/// Opens a copy of the file with `damage`, or returns `None` if SQLite rejects the value.
pub(crate) async fn damaged(damage: &Damage) -> Option<(tempfile::TempDir, SqliteStore)> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("damaged.db");
    std::fs::write(&file, &*INTACT_FILE).unwrap();
    if !write(&file, damage) {
        return None;
    }
    let store = SqliteOptions::new(&file).readers(1).open().await.unwrap();
    Some((dir, store))
}
