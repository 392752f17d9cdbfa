//! The tests of SQL projections, on SQLite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adapter {
    pub use factum_sqlite::{SqliteOptions as Options, SqliteStore as Store};

    /// Returns the options of a file that does not exist, and its directory.
    pub fn fresh() -> Option<(tempfile::TempDir, Options)> {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path().join("tally.db"));
        Some((dir, options))
    }
}

#[path = "../../../framework/sql/tests/shared/names.rs"]
mod names;
#[path = "../../../framework/sql/tests/shared/projection.rs"]
mod shared;
