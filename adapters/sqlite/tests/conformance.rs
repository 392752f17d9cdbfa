//! The conformance suite for the store on SQLite.
//!
//! Each handle has its own connections, like a separate process.

use factum_sqlite::SqliteStore;
use factum_testkit::Backend;
use tempfile::TempDir;

struct File(TempDir);

impl Backend for File {
    type Store = SqliteStore;

    async fn create() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path().join("conformance.db"))
            .await
            .expect("the store opens")
    }
}

factum_testkit::conformance_suite!(File);
