//! Panics of a consumer's code become errors.

use std::panic::AssertUnwindSafe;

use factum_engine::error::panic_message;
use futures_util::FutureExt as _;

use super::batch::BatchError;

/// Runs `work` and converts a panic into an error.
pub async fn catch_panic<T>(
    work: impl Future<Output = Result<T, BatchError>>,
) -> Result<T, BatchError> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(BatchError::Panicked(panic_message(&*panic))))
}
