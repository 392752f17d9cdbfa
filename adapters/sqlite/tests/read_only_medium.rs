//! A store on a file system that is mounted to read only.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/events.rs"]
mod events;
#[path = "support/mount.rs"]
mod mount;

use events::{append, append_error, chain, count};
use factum::store::{EventStore as _, Query, Read};
use factum_sqlite::{SqliteOptions, SqliteStore};
use mount::Mount;

#[tokio::test]
async fn read_only_medium_can_be_read() {
    let Some(mount) = Mount::new("16m") else {
        return;
    };
    let file = mount.path().join("bank.db");
    let writer = SqliteStore::open(&file).await.unwrap();
    writer.append(append()).await.unwrap();
    writer.close().await;
    mount.remount("ro");

    let rejected = SqliteStore::open(&file).await.unwrap_err().to_string();
    let expected = format!(
        "cannot open the store: no permission to write the file and its directory: {}; \
         change the permissions, or use `read_only`",
        file.display()
    );
    assert!(rejected.starts_with(&expected), "{rejected}");

    let store = SqliteOptions::new(&file).read_only().open().await.unwrap();
    assert_eq!(count(&store).await, 1);
    assert!(append_error(&store).await.contains("opened to read only"));

    // Another program writes to the file, which the store cannot follow.
    mount.remount("rw");
    let writer = SqliteStore::open(&file).await.unwrap();
    writer.append(append()).await.unwrap();
    let error = loop {
        match store.read(Read::all(Query::all())).await {
            Ok(page) => assert_eq!(page.events.len(), 1),
            Err(error) => break chain(&error),
        }
    };
    assert!(
        error.contains("the database file was deleted, moved or replaced"),
        "{error}"
    );
    let again = SqliteOptions::new(&file).read_only().open().await.unwrap();
    assert_eq!(count(&again).await, 2);
    for store in [store, writer, again] {
        store.close().await;
    }
}
