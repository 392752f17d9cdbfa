//! [`serve`]: an HTTP service on the connections of a listener.

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::Body;
use hyper::body::Incoming as RequestBody;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::{Layer as _, Service};
use tracing::debug;

use crate::net::{Connection, Incoming, KEEP_ALIVE, MAX_STREAMS, TrackRequestsLayer};

/// The maximum size of a request head, and of response data that waits for the socket, in bytes.
const MAX_BUFFER: usize = 128 * 1024;

/// Serves HTTP/1.1 and HTTP/2 until `stop` becomes `true`, and waits for requests in flight.
///
/// `wrap` can change the bytes of a connection.
pub async fn serve<S, B, I>(
    mut incoming: Incoming,
    service: S,
    wrap: impl Fn(Connection) -> I,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = TrackRequestsLayer.layer(service);
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
        let info = connection.info().clone();
        let service = service.clone();
        let handle = hyper::service::service_fn(move |mut request: Request<RequestBody>| {
            request.extensions_mut().insert(info.clone());
            service.clone().call(request)
        });
        let io = TokioIo::new(wrap(connection));
        let served = connections.watch(server.serve_connection(io, handle).into_owned());
        tokio::spawn(served.map(|served| {
            if let Err(error) = served {
                debug!(error, "connection failed");
            }
        }));
    }
    drop(incoming);
    connections.shutdown().await;
}
