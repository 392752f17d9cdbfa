//! [`serve`]: the REST API on a listener.

use anyhow::Result;
use axum::extract::Request;
use axum::http;
use hyper::body::Incoming as RequestBody;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::{Layer as _, Service as _};
use tracing::debug;

use super::api::Api;
use super::parse_errors::ParseErrorBodies;
use super::router;
use crate::net::{ConnectionLimits, Incoming, KEEP_ALIVE, MAX_STREAMS, TrackRequestsLayer};

/// The maximum size of a request head, and of response data that waits for the socket, in bytes.
const MAX_BUFFER: usize = 128 * 1024;

/// Serves on `listener` until `stop` becomes `true`, and waits for requests in flight.
///
/// # Errors
/// Never returns an error.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut incoming = Incoming::new("rest", listener, limits, stop.clone());
    let service = TrackRequestsLayer.layer(router(api));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_buf_size(MAX_BUFFER);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(MAX_BUFFER);
    let connections = GracefulShutdown::new();
    loop {
        let connection = tokio::select! {
            connection = incoming.accept() => connection,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let activity = connection.activity().clone();
        let service = service.clone();
        let handle = hyper::service::service_fn(move |mut request: http::Request<RequestBody>| {
            request.extensions_mut().insert(activity.clone());
            let mut service = service.clone();
            async move {
                let request: Request = request.map(axum::body::Body::new);
                service.call(request).await
            }
        });
        let io = TokioIo::new(ParseErrorBodies::new(connection));
        let served = connections.watch(server.serve_connection(io, handle).into_owned());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                debug!(error, "connection failed");
            }
        });
    }
    drop(incoming);
    connections.shutdown().await;
    Ok(())
}
