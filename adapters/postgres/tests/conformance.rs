//! The store on PostgreSQL keeps every promise; each handle has connections of its own, like another process.

#[path = "support/server.rs"]
mod server;

use factum::async_trait;
use factum_postgres::{PostgresOptions, PostgresStore};
use factum_testkit::Backend;

struct Schema(PostgresOptions);

#[async_trait]
impl Backend for Schema {
    type Store = PostgresStore;

    fn available() -> bool {
        server::fresh().is_some()
    }

    async fn create() -> Self {
        Self(server::fresh().expect("a server"))
    }

    async fn open(&self) -> PostgresStore {
        self.0.clone().open().await.expect("a store")
    }
}

factum_testkit::conformance_suite!(Schema);
