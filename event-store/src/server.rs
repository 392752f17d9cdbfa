//! Startup and shutdown of the server.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use factum_compatible_protocols::umadb;
use factum_compatible_protocols::umadb::dcb_server::DcbServer;
use factum_store_protocol::v1::event_store_service_server::EventStoreServiceServer;
use factum_store_protocol::v1::state_service_server::StateServiceServer;
use factum_store_protocol::{DESCRIPTOR, MAX_MESSAGE_BYTES};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tracing::{info, warn};

use crate::access::Stores;
use crate::backend::ServedStore;
use crate::native::Native;
use crate::settings::ServerSettings;
use crate::umadb::UmaDb;

/// The interval of pings on connections, so that dead ones are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The maximum number of concurrent calls of one connection.
const MAX_CALLS: u32 = 1_000;

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// Returns an error if the store cannot be opened, the address cannot be bound, or the signal handlers cannot be
/// installed.
pub async fn run(settings: ServerSettings) -> Result<()> {
    let backend = ServedStore::open(&settings.store).await?;
    let address = settings.bind_addr;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot bind the gRPC API to {address}"))?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "gRPC API on http://{address}")?;
    warn!("clients are not authenticated, and connections are not encrypted");
    let (stop, stopped) = watch::channel(false);
    let stores = Stores::unprotected(backend.store.clone());
    let native = Native::new(stores, backend.name, stopped.clone());
    let mut server = tokio::spawn(serve(listener, native, stopped));
    shutdown_signal().await?;
    info!("shutdown requested");
    stop.send_replace(true);
    match tokio::time::timeout(settings.grace, &mut server).await {
        Ok(served) => served??,
        Err(_) => {
            warn!("calls did not finish within the grace period; closing their connections");
            server.abort();
        }
    }
    backend.close().await;
    info!("server stopped");
    Ok(())
}

/// Serves on `listener` until `stop` becomes `true`, and waits for calls in flight.
///
/// # Errors
/// Returns an error if the server fails.
pub async fn serve(
    listener: TcpListener,
    native: Native,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_serving::<EventStoreServiceServer<Native>>()
        .await;
    reporter.set_serving::<DcbServer<UmaDb>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR)
        .register_encoded_file_descriptor_set(umadb::DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let umadb = DcbServer::new(UmaDb::new(native.stores().clone(), stop.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let events = EventStoreServiceServer::new(native.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let state = StateServiceServer::new(native)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    // Answers are small; without this they would wait for the acknowledgement of an earlier segment.
    let incoming = TcpListenerStream::new(listener);
    let incoming = tokio_stream::StreamExt::map(incoming, |socket| {
        socket.inspect(|socket| {
            if let Err(error) = socket.set_nodelay(true) {
                warn!(%error, "cannot set TCP_NODELAY on a connection");
            }
        })
    });
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .max_concurrent_streams(MAX_CALLS)
        .add_service(events)
        .add_service(state)
        .add_service(umadb)
        .add_service(health)
        .add_service(reflection)
        .serve_with_incoming_shutdown(incoming, async move {
            // An error means that the sender was dropped.
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await?;
    Ok(())
}

/// Waits for a shutdown signal.
#[cfg(unix)]
async fn shutdown_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Waits for a shutdown signal.
#[cfg(not(unix))]
async fn shutdown_signal() -> Result<()> {
    Ok(tokio::signal::ctrl_c().await?)
}
