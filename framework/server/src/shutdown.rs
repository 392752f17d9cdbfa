//! The signals that stop a server, and the wait for its requests.

use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// Returns an error if the signal handlers cannot be installed.
#[cfg(unix)]
pub fn shutdown_signal() -> impl Future<Output = Result<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
}

/// Waits for the signal of the terminal that stops a program.
///
/// # Errors
/// Returns an error if the signal handler cannot be installed.
#[cfg(not(unix))]
pub async fn shutdown_signal() -> Result<()> {
    Ok(tokio::signal::ctrl_c().await?)
}

/// Waits until all servers end, at most for `grace`; then closes the connections of the others.
///
/// Each server is a task with the name of its API.
pub async fn finish(servers: Vec<(&str, JoinHandle<Result<()>>)>, grace: Duration) {
    let deadline = Instant::now() + grace;
    for (api, mut server) in servers {
        match timeout_at(deadline, &mut server).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!(api, %error, "server failed"),
            Ok(Err(error)) => warn!(api, %error, "server task failed"),
            Err(_) => {
                warn!(
                    api,
                    "requests did not finish within the grace period; closing their connections"
                );
                server.abort();
            }
        }
    }
}
