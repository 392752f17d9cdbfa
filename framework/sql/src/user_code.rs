//! Runs the code of projections, which must not panic, write elsewhere, or wait while it holds the lock of writers.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use factum_core::error::panic_message;
use factum_core::projection_scope::in_projection;
use futures_util::FutureExt as _;

use crate::statement_clock::StatementClock;

/// The code of a projection did not return.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    #[error("{0}")]
    Panicked(String),
    #[error(
        "projection {projection:?} waited for {}s inside of its transaction; it must wait for nothing but `db`",
        waited.as_secs()
    )]
    Waited {
        projection: &'static str,
        waited: Duration,
    },
}

/// Runs `code` of the projection `name`, whose statements are counted by `clock`.
///
/// Statements on SQLite block the thread. PostgreSQL ends an idle transaction, but the code does not notice.
pub async fn run<F: Future>(
    name: &'static str,
    clock: &StatementClock,
    code: F,
) -> Result<F::Output, Interrupted> {
    let code = AssertUnwindSafe(in_projection(name, code)).catch_unwind();
    clock.reset();
    tokio::select! {
        biased;
        finished = code => finished.map_err(|panic| Interrupted::Panicked(panic_message(&*panic))),
        waited = clock.wait_until_idle() => Err(Interrupted::Waited {
            projection: name,
            waited,
        }),
    }
}
