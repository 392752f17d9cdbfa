//! The store in a SQLite file keeps every promise; each handle has connections of its own, like another
//! process.

use factum::async_trait;
use factum_sqlite::SqliteStore;
use factum_testkit::Backend;
use tempfile::TempDir;

struct File(TempDir);

#[async_trait]
impl Backend for File {
    type Store = SqliteStore;

    async fn create() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path().join("contract.db"))
            .await
            .expect("a store")
    }
}

factum_testkit::conformance_suite!(File);
