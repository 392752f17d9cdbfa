//! What goes wrong in the code of a projection.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use super::ProjectionError;
use factum_engine::error::panic_message;

/// Turns a panic of a projection's code into an error.
pub async fn guarded<T>(
    work: impl Future<Output = Result<T, ProjectionError>>,
) -> Result<T, ProjectionError> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(panic_message(&*panic).into()))
}
