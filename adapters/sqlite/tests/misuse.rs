//! Projections that write to their own store with anything but their transaction, on SQLite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adapter {
    pub use factum_sqlite::{SqliteOptions as Options, SqliteStore as Store};
}

#[path = "../../../framework/sql/tests/shared/misuse.rs"]
mod shared;

use adapter::Options;
use shared::{Misuse, Place, misuse};

async fn run(kind: Misuse, place: Place) -> String {
    let dir = tempfile::tempdir().unwrap();
    misuse(Options::new(dir.path().join("tally.db")), kind, place).await
}

#[tokio::test(flavor = "multi_thread")]
async fn write_inside_a_projection_fails_at_once() {
    let expected = "a write inside of the projection \"misuse\" would wait for itself; \
                    use the `db` argument, or an event handler or a process manager";
    let kinds = [
        Misuse::Execute { tally: 1 },
        Misuse::Execute { tally: 2 },
        Misuse::Append,
        Misuse::Document,
        Misuse::Transaction,
    ];
    for kind in kinds {
        for place in [Place::Consumer, Place::Append] {
            let error = run(kind, place).await;
            assert!(error.contains(expected), "{kind:?}, {place:?}: {error}");
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
