//! Runs work that blocks its thread.

use factum_core::error::StoreError;
use tokio::runtime::Handle;

/// Returns the runtime of the caller.
pub fn runtime() -> Result<Handle, StoreError> {
    Handle::try_current().map_err(|_| {
        let reason = "no tokio runtime: called outside of one; call it in a task, for example in `#[tokio::main]`";
        StoreError::Failed(reason.into())
    })
}

/// Runs `work` on a thread for blocking work.
///
/// # Errors
/// Returns [`StoreError::Interrupted`] if the work panics, or if the runtime ends before the work begins.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let done = runtime()?.spawn_blocking(work).await;
    done.map_err(|error| StoreError::Interrupted(error.into()))
}
