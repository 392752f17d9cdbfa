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

use shared::{Misuse, Place, REJECTED_AT_ONCE, REJECTION, misuse};

#[tokio::test(flavor = "multi_thread")]
async fn write_inside_a_projection_fails_at_once() {
    for kind in REJECTED_AT_ONCE {
        for place in [Place::Consumer, Place::Append] {
            let Some(options) = server::fresh() else {
                return;
            };
            let error = misuse(options, kind, place).await;
            assert!(error.contains(REJECTION), "{kind:?}, {place:?}: {error}");
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
