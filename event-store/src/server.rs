//! Startup and shutdown of the server.

use anyhow::Result;
use factum_server::call_log::CallLogLayer;
use factum_server::call_metrics::CallMetricsLayer;
use factum_server::listen::listen;
use factum_server::metrics::Exporter;
use factum_server::net::{Incoming, KEEP_ALIVE, TrackRequestsLayer};
use factum_server::panic::panic_response;
use factum_server::reload::{Hangups, reload_on_hangup};
use factum_server::shutdown::{finish, shutdown_signal};
use futures_util::stream::select_all;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{info, warn};

use crate::access::Stores;
use crate::backend::ServedStore;
use crate::groups::Groups;
use crate::metrics::EVENT_STORE_METRICS;
use crate::metrics_endpoint;
use crate::routes::{DESCRIPTORS, routes};
use crate::serving::Serving;
use crate::settings::ServerSettings;

/// The application protocols of TLS.
const PROTOCOLS: &[&str] = &["h2"];

/// Serves until SIGINT or SIGTERM.
///
/// On a signal, the health checks fail. After the drain time, the server accepts no connections, calls in flight finish, and
/// the store is closed.
///
/// # Errors
/// Returns an error if an address may not be served without more protection or cannot be bound. Also returns it if the
/// store or the file of users cannot be opened, or the signal handlers cannot be installed.
pub async fn run(settings: ServerSettings) -> Result<()> {
    let exporter = settings
        .metrics_addr
        .map(|_| Exporter::install(EVENT_STORE_METRICS));
    let exporter = exporter.transpose()?;
    let place = settings.store_place()?;
    let tls = settings.tls.load(PROTOCOLS)?;
    let unprotected = settings.access.check(&settings.bind_addr, tls.is_some())?;
    let scheme = match &tls {
        Some(_) => "https",
        None => "http",
    };
    let hangups = Hangups::install()?;
    let backend = ServedStore::open(&place).await?;
    let stores = match &settings.access.users {
        Some(file) => Stores::with_users(backend.store.clone(), file)?,
        None => Stores::unprotected(backend.store.clone()),
    };
    let mut listeners = Vec::new();
    for address in &settings.bind_addr {
        listeners.push(listen("gRPC", scheme, *address).await?);
    }
    for warning in unprotected {
        warn!("{warning}");
    }
    tokio::spawn(reload_on_hangup(tls.clone(), hangups));
    let (stopping, about_to_stop) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let mut serving = Serving::new(stores, backend.name, stopped);
    serving.groups = Groups::new(serving.stores.for_server(), settings.group_lease);
    serving.tls = tls;
    serving.limits = settings.connection_limits();
    serving.max_calls = settings.max_calls;
    serving.readiness = serving.readiness.stopping(about_to_stop);
    let groups = serving.groups.clone();
    let mut servers = Vec::new();
    if let (Some(address), Some(exporter)) = (settings.metrics_addr, exporter) {
        let listener = listen("metrics", "http", address).await?;
        tokio::spawn(exporter.clone().run_upkeep());
        let served = metrics_endpoint::serve(listener, exporter, serving.clone());
        servers.push(("metrics", tokio::spawn(served)));
    }
    servers.push(("gRPC", tokio::spawn(serve(listeners, serving))));
    shutdown_signal().await?;
    info!("shutdown requested");
    stopping.send_replace(true);
    tokio::time::sleep(settings.drain).await;
    stop.send_replace(true);
    // The groups tell their consumers to stop, and their calls then end.
    let stopping = tokio::time::timeout(settings.grace, groups.stop());
    if stopping.await.is_err() {
        warn!("consumer groups did not stop within the grace period; their leases will expire");
    }
    finish(servers, settings.grace).await;
    backend.close().await;
    info!("server stopped");
    Ok(())
}

/// Serves on `listeners` until [`Serving::stop`] becomes `true`, and waits for calls in flight.
///
/// # Errors
/// Returns an error if the server fails.
pub async fn serve(listeners: Vec<TcpListener>, serving: Serving) -> Result<()> {
    let routes = routes(&serving)?;
    let call_metrics = CallMetricsLayer::new(DESCRIPTORS)?;
    let call_log = CallLogLayer::new(serving.stop.clone());
    let access = serving.stores.layer();
    let mut stop = serving.stop;
    let incoming = listeners.into_iter().map(|listener| {
        let incoming = Incoming::new("grpc", listener, serving.limits, stop.clone());
        Box::pin(incoming.tls(serving.tls.clone()).into_stream())
    });
    let incoming = select_all(incoming);
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .max_concurrent_streams(serving.max_calls)
        .layer(TrackRequestsLayer)
        .layer(call_metrics)
        .layer(call_log)
        .layer(CatchPanicLayer::custom(panic_response))
        .layer(access)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async move {
            // An error means that the sender was dropped.
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await?;
    Ok(())
}
