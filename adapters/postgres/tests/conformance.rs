//! The conformance suite for the store on PostgreSQL.
//!
//! Each handle has its own connections, like a separate process.

#[path = "support/server.rs"]
mod server;

use factum_postgres::{PostgresOptions, PostgresStore};
use factum_testkit::Backend;

struct Schema(PostgresOptions);

impl Backend for Schema {
    type Store = PostgresStore;

    fn available() -> bool {
        server::fresh().is_some()
    }

    async fn create() -> Self {
        Self(server::fresh().expect("the server is available"))
    }

    async fn open(&self) -> PostgresStore {
        self.0.clone().open().await.expect("the store opens")
    }
}

factum_testkit::conformance_suite!(Schema);
