//! The limit of the backend: the same rows, with nothing above the driver.

pub mod memory;
pub mod postgres;
pub mod sqlite;

use std::time::{Duration, Instant};

use anyhow::Result;
use benchmark_harness::NOTE;

/// Rows per second.
pub struct Rate {
    pub rows: usize,
    pub took: Duration,
}

/// How many rows of a read model are changed in one transaction: as many as a page of events holds.
pub(crate) const PAGE: usize = factum::store::MAX_PAGE;

/// A statement of the projection that is measured, on a table of its own.
pub(crate) fn by_hand(sql: &str) -> String {
    sql.replace("{balance}", "balance")
}

/// The account of an event, as the scenario stores them: a hundred of one behind the other.
pub(crate) fn account(event: usize) -> String {
    (event / 100).to_string()
}

pub(crate) const METADATA: &str =
    r#"{"actor":"alice","correlation_id":"019a5a4e-3f4c-7c3e-8f0a-1b2c3d4e5f60"}"#;
pub(crate) const RECORDED_AT: i64 = 1_763_700_000_000_000;

pub(crate) fn data() -> String {
    format!(r#"{{"amount":1,"note":"{NOTE}"}}"#)
}

/// Inserts batches, of which each is given its number, for as long as `round` takes.
pub(crate) async fn repeat(
    batch: usize,
    round: Duration,
    mut insert: impl AsyncFnMut(i64) -> Result<()>,
) -> Result<Rate> {
    insert(0).await?;
    let begin = Instant::now();
    let mut batches = 0;
    while begin.elapsed() < round {
        batches += 1;
        insert(batches).await?;
    }
    Ok(Rate {
        rows: batches as usize * batch,
        took: begin.elapsed(),
    })
}
