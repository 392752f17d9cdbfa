//! Startup and shutdown of the service, with both APIs.

use anyhow::Result;
use factum_server::listen::listen;
use factum_server::metrics::Exporter;
use factum_server::shutdown::{finish, shutdown_signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::audit::Audit;
use crate::changes::ChangeFeed;
use crate::grpc::{self, Grpc};
use crate::metrics::SERVICE_METRICS;
use crate::rest::{self, Api};
use crate::settings::Settings;
use crate::web;
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
    let metrics = settings
        .metrics
        .then(|| Exporter::install(SERVICE_METRICS))
        .transpose()?;
    if let Some(exporter) = metrics.clone() {
        tokio::spawn(exporter.run_upkeep());
    }
    let wired = Wired::open(&settings).await?;
    let rest = listen("REST", "http", settings.rest_addr).await?;
    let grpc = listen("gRPC", "http", settings.grpc_addr).await?;
    warn!(
        "development mode: callers are not authenticated, and each can read and change everything"
    );
    let (stopping, about_to_stop) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let connections = &settings.connections;
    let limits = connections.limits(settings.idle_timeout, connections.send_timeout);
    let changes = ChangeFeed::new(
        wired.app.clone(),
        wired.specs.clone(),
        settings.max_streams,
        stopped.clone(),
    );
    let api = Api {
        audit: Audit::new(wired.app.clone()),
        changes,
        app: wired.app.clone(),
        specs: wired.specs.clone(),
        webhooks: wired.webhooks.clone(),
        search: wired.search.clone(),
        bulk: wired.bulk.clone(),
        transfer: wired.transfer.clone(),
        max_content: settings.max_content_bytes,
        ready_lag: settings.ready_lag,
        stopping: about_to_stop.clone(),
        timeout: settings.request_timeout,
        metrics,
    };
    let calls = Grpc {
        audit: Audit::new(wired.app.clone()),
        specs: wired.specs.clone(),
        webhooks: wired.webhooks.clone(),
        search: wired.search.clone(),
        bulk: wired.bulk.clone(),
        transfer: wired.transfer.clone(),
        max_content: settings.max_content_bytes,
        timeout: settings.request_timeout,
        limits,
        max_watches: settings.max_streams,
        stopping: about_to_stop,
        stop: stopped.clone(),
    };
    // The answer to an unknown path is that of the last router: a problem.
    let routes = web::router(api.clone()).merge(rest::router(api));
    let servers = vec![
        (
            "REST",
            tokio::spawn(rest::serve(rest, routes, limits, stopped)),
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
