//! Startup and shutdown of the service, with both APIs.

use std::future::Future;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::grpc::{self, Grpc};
use crate::metrics::Exporter;
use crate::rest::{self, Api};
use crate::settings::Settings;
use crate::wiring::Wired;

/// Serves both APIs until SIGINT or SIGTERM.
///
/// On a signal, `/readyz` fails. After the drain time both servers stop accepting connections, requests in flight
/// finish, and the store is closed.
///
/// # Errors
/// Returns an error if the metrics recorder cannot be installed, the database cannot be opened, an address cannot be
/// bound, or the signal handlers cannot be installed.
pub async fn run(settings: Settings) -> Result<()> {
    let metrics = settings.metrics.then(Exporter::install).transpose()?;
    if let Some(exporter) = metrics.clone() {
        tokio::spawn(exporter.run_upkeep());
    }
    let wired = Wired::open(&settings).await?;
    let rest = listen("REST", settings.rest_addr).await?;
    let grpc = listen("gRPC", settings.grpc_addr).await?;
    let (stopping, about_to_stop) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let limits = settings.connection_limits();
    let api = Api {
        specs: wired.specs.clone(),
        max_content: settings.max_content_bytes,
        ready_lag: settings.ready_lag,
        stopping: about_to_stop.clone(),
        timeout: settings.request_timeout,
        metrics,
    };
    let calls = Grpc {
        specs: wired.specs.clone(),
        max_content: settings.max_content_bytes,
        timeout: settings.request_timeout,
        limits,
        max_watches: settings.max_streams,
        stopping: about_to_stop,
        stop: stopped.clone(),
    };
    let servers = vec![
        (
            "REST",
            tokio::spawn(rest::serve(rest, api, limits, stopped)),
        ),
        ("gRPC", tokio::spawn(grpc::serve(grpc, calls))),
    ];

    shutdown_signal().await?;
    info!("shutdown requested");
    stopping.send_replace(true);
    tokio::time::sleep(settings.drain).await;
    stop.send_replace(true);
    finish(servers, settings.grace).await;
    wired.close().await;
    info!("service stopped");
    Ok(())
}

/// Binds `address`, and prints the bound address as one line on standard output.
async fn listen(api: &str, address: std::net::SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot bind the {api} API to {address}"))?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "{api} API on http://{address}")?;
    Ok(listener)
}

async fn finish(servers: Vec<(&str, JoinHandle<Result<()>>)>, grace: Duration) {
    let deadline = tokio::time::Instant::now() + grace;
    for (api, mut server) in servers {
        match tokio::time::timeout_at(deadline, &mut server).await {
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

/// Waits for a shutdown signal.
#[cfg(unix)]
fn shutdown_signal() -> impl Future<Output = Result<()>> {
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

/// Waits for a shutdown signal.
#[cfg(not(unix))]
async fn shutdown_signal() -> Result<()> {
    Ok(tokio::signal::ctrl_c().await?)
}
