//! Files of older versions are upgraded when they are opened.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../framework/sql/tests/shared/schema_upgrade.rs"]
mod schema_upgrade;

use std::path::Path;

use factum_sqlite::{SqliteStore, rusqlite};

/// Creates a file of schema 1 with further rows.
fn create_file(path: &Path, further: &str) {
    let file = rusqlite::Connection::open(path).unwrap();
    file.pragma_update(None, "foreign_keys", false).unwrap();
    file.execute_batch(include_str!("support/schema_1.sql"))
        .unwrap();
    file.execute_batch(further).unwrap();
    file.close().unwrap();
}

#[tokio::test]
async fn file_of_schema_1_is_upgraded_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shelves.db");
    // A view of the application, which uses one of the store.
    create_file(
        &path,
        "create view filled as select * from events where name = 'shelf.filled'",
    );
    let store = SqliteStore::open(&path).await.unwrap();
    schema_upgrade::check_older_schema(&store).await;
    store.close().await;
    let file = rusqlite::Connection::open(&path).unwrap();
    let check = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        check("select count(*) from pragma_integrity_check where integrity_check <> 'ok'"),
        0
    );
    assert_eq!(check("select count(*) from pragma_foreign_key_check"), 0);
    assert_eq!(
        check("select count(*) from events where stream = 'shelf'"),
        2
    );
    assert_eq!(check("select count(*) from filled"), 2);
}

#[tokio::test]
async fn event_ids_that_repeat_in_schema_1_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shelves.db");
    let repeat = "insert into factum_event
        select 6, stream, 4, id, name, schema_version, content_type, data, metadata, tags, recorded_at
        from factum_event where position = 5";
    create_file(&path, repeat);
    let store = SqliteStore::open(&path).await.unwrap();
    schema_upgrade::check_repeated_ids(&store).await;
}
