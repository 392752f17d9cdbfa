//! Runs the code of projections, which must not panic, write elsewhere, or wait while it holds the lock of writers.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use factum_core::error::panic_message;
use factum_core::projection_scope::in_projection;
use futures_util::FutureExt as _;

use crate::connection::Dialect;

/// The time that a projection on SQLite may wait for anything but the database.
///
/// PostgreSQL ends a transaction itself after the same time without a statement.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The code of a projection did not return.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    #[error("{0}")]
    Panicked(String),
    #[error(
        "projection {projection:?} waited for {}s inside of its transaction; it must wait for nothing but `db`",
        MAX_WAIT.as_secs()
    )]
    Waited { projection: &'static str },
}

/// Runs `code` of the projection `name`.
///
/// Statements on SQLite block the thread, so code that is pending waits for something else.
pub async fn run<F: Future>(
    name: &'static str,
    dialect: Dialect,
    code: F,
) -> Result<F::Output, Interrupted> {
    let code = in_projection(name, code);
    let finished = async {
        match dialect {
            Dialect::Sqlite => tokio::time::timeout(MAX_WAIT, code).await.ok(),
            _ => Some(code.await),
        }
    };
    match AssertUnwindSafe(finished).catch_unwind().await {
        Ok(Some(output)) => Ok(output),
        Ok(None) => Err(Interrupted::Waited { projection: name }),
        Err(panic) => Err(Interrupted::Panicked(panic_message(&*panic))),
    }
}
