//! The limit of the backend: the same rows through the driver alone.

pub mod memory;
pub mod postgres;
pub mod sqlite;

use std::time::{Duration, Instant};

use anyhow::Result;
use benchmark_harness::NOTE;

/// A number of rows, and the time that they took.
pub struct Rate {
    pub rows: usize,
    pub elapsed: Duration,
}

/// The number of rows of a read model that are changed in one transaction: one page of events.
pub(crate) const PAGE: usize = factum::store::MAX_PAGE;

/// Returns a statement of the measured projection with its own table name.
pub(crate) fn by_hand(sql: &str) -> String {
    sql.replace("{balance}", "balance")
}

/// Returns the account of an event; the scenario stores 100 consecutive events per account.
pub(crate) fn account(event: usize) -> String {
    (event / 100).to_string()
}

pub(crate) const METADATA: &str =
    r#"{"actor":"alice","correlation_id":"019a5a4e-3f4c-7c3e-8f0a-1b2c3d4e5f60"}"#;
pub(crate) const RECORDED_AT: i64 = 1_763_700_000_000_000;

pub(crate) fn data() -> String {
    format!(r#"{{"amount":1,"note":"{NOTE}"}}"#)
}

/// Calls `insert` with consecutive batch numbers until `duration` has passed.
pub(crate) async fn repeat(
    batch: usize,
    duration: Duration,
    mut insert: impl AsyncFnMut(i64) -> Result<()>,
) -> Result<Rate> {
    insert(0).await?;
    let begin = Instant::now();
    let mut batches = 0;
    while begin.elapsed() < duration {
        batches += 1;
        insert(batches).await?;
    }
    Ok(Rate {
        rows: batches as usize * batch,
        elapsed: begin.elapsed(),
    })
}
