//! Projections that write to their own store with anything but their transaction, on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
#[allow(dead_code, reason = "no test needs the address")]
mod server;

mod adapter {
    pub use factum_postgres::{PostgresOptions as Options, PostgresStore as Store};
}

#[path = "../../../framework/sql/tests/shared/misuse.rs"]
mod shared;

use shared::{Misuse, Place, misuse};

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
            let Some(options) = server::fresh() else {
                return;
            };
            let error = misuse(options, kind, place).await;
            assert!(error.contains(expected), "{kind:?}, {place:?}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_projection_that_waits_for_a_writer_fails() {
    let Some(options) = server::fresh() else {
        return;
    };
    let error = misuse(options, Misuse::Spawn, Place::Append).await;
    let expected = "projection \"misuse\" waited for 5s inside of its transaction";
    assert!(error.contains(expected), "{error}");
}
