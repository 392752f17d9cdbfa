//! Scenarios of projections in tables, on SQLite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adapter {
    pub use factum_sqlite::SqliteStore as Store;

    /// Opens an empty store.
    pub async fn fresh() -> Option<Store> {
        Some(Store::temporary().await.unwrap())
    }
}

#[path = "../../../framework/sql/tests/shared/scenario.rs"]
mod shared;
