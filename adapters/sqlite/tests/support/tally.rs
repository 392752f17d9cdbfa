//! The part of the tests of inline projections that is specific to SQLite.

#![allow(dead_code, reason = "no test uses all items")]

use std::time::Duration;

use factum::Position;
use factum_sql::{BoxError, Sql};
pub use factum_sqlite::{SqliteOptions as Options, SqliteStore as Store};
use tempfile::TempDir;

use crate::tally::{NEGATIVE, PANICS, REJECTED, SPECIAL, UNDECODABLE};

/// An amount whose statement is cancelled.
pub const CANCELLED: u64 = SPECIAL;

/// The amounts that the projection rejects, and the reasons.
pub const REJECTIONS: &[(u64, &str)] = &[
    (REJECTED, "it is rejected"),
    (PANICS, "it panics"),
    (UNDECODABLE, "it panics while it is decoded"),
    (NEGATIVE, "CHECK constraint failed"),
];
/// One of them.
pub const THIRD: u64 = UNDECODABLE;

/// Returns the options of a file that does not exist, and its directory.
pub fn fresh() -> Option<(TempDir, Options)> {
    let dir = tempfile::tempdir().unwrap();
    // SQLite guarantees no turn to two processes that write without a pause.
    let options = Options::new(dir.path().join("tally.db"));
    Some((dir, options.busy_timeout(Duration::from_secs(60))))
}

pub async fn special(_: u64, position: Position, db: &mut Sql<'_>) -> Result<(), BoxError> {
    let update = db.query("update {added} set amount = 7 where position = $1");
    tokio::select! {
        biased;
        updated = update.bind(position).execute() => drop(updated?),
        () = std::future::ready(()) => {}
    }
    Ok(())
}

/// Returns the names of the projection's tables.
pub async fn tables(store: &Store) -> Vec<String> {
    let sql = "select name from sqlite_master where type = 'table' and name like 'added%'";
    store.query(sql).fetch_all().await.unwrap()
}

/// SQLite stores each append of a batch alone if one of them was rejected.
pub async fn check_transactions(_: &Store, _: i64) {}
