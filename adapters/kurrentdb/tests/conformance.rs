//! The conformance suite on the event store server, which each test starts as a process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use factum_compatible_store::CompatibleStore;
use server::Server;

struct Compatible(Server);

impl factum_testkit::Backend for Compatible {
    type Store = CompatibleStore;

    async fn create() -> Self {
        Self(Server::start())
    }

    async fn open(&self) -> CompatibleStore {
        CompatibleStore::open(&self.0.connection).await.unwrap()
    }
}

factum_testkit::conformance_suite!(Compatible, parts: events, commands);
