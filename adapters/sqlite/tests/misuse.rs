//! Projections that write to their own store with anything but their transaction, on SQLite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adapter {
    pub use factum_sqlite::{SqliteOptions as Options, SqliteStore as Store};
}

#[path = "../../../framework/sql/tests/shared/misuse.rs"]
mod shared;

use adapter::Options;
use shared::{Misuse, Place, REJECTED_AT_ONCE, REJECTION, misuse};

async fn run(kind: Misuse, place: Place) -> String {
    let dir = tempfile::tempdir().unwrap();
    misuse(Options::new(dir.path().join("tally.db")), kind, place).await
}

#[tokio::test(flavor = "multi_thread")]
async fn write_inside_a_projection_fails_at_once() {
    for kind in REJECTED_AT_ONCE {
        for place in [Place::Consumer, Place::Append] {
            let error = run(kind, place).await;
            assert!(error.contains(REJECTION), "{kind:?}, {place:?}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn projection_that_waits_for_a_writer_fails() {
    for place in [Place::Consumer, Place::Append] {
        let error = run(Misuse::Spawn, place).await;
        let expected = "projection \"misuse\" waited for 5s inside of its transaction";
        assert!(error.contains(expected), "{place:?}: {error}");
    }
}
