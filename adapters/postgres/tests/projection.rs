//! The tests of SQL projections, on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

mod adapter {
    pub use factum_postgres::{PostgresOptions as Options, PostgresStore as Store};

    /// Returns the options of an empty schema; `None` if there is no server.
    pub fn fresh() -> Option<((), Options)> {
        crate::server::fresh().map(|options| ((), options))
    }
}

#[path = "../../../framework/sql/tests/shared/names.rs"]
mod names;
#[path = "../../../framework/sql/tests/shared/projection.rs"]
mod shared;
