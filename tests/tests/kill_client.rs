//! `kill -9` of a process with many writers and a projection, on each store with tables.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/child.rs"]
mod child;

use child::{Moments, Writer};

#[tokio::test]
async fn a_killed_process_leaves_its_table_at_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("jars.db").display().to_string();
    let mut moments = Moments::new();
    let mut told = Vec::new();
    for round in 0..12 {
        let mut writer = Writer::start(&place, &format!("r{round}"));
        writer.hear(moments.next(200));
        told.extend(writer.kill());
        check::whole(&place, &told, &format!("round {round}")).await;
    }
}
