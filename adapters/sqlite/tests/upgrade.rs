//! Files of older versions are upgraded when they are opened.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../framework/sql/tests/shared/schema_upgrade.rs"]
mod schema_upgrade;

use factum_sqlite::{SqliteStore, rusqlite};

#[tokio::test]
async fn file_of_schema_1_is_upgraded_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shelves.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.pragma_update(None, "foreign_keys", false).unwrap();
    file.execute_batch(include_str!("support/schema_1.sql"))
        .unwrap();
    file.close().unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    schema_upgrade::check_schema_1(&store).await;
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
        1
    );
}
