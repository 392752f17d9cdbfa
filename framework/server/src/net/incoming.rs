//! [`Incoming`]: the accepted connections of one API.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};

use super::connection::Connection;
use super::connection_info::ConnectionInfo;
use super::limits::ConnectionLimits;
use super::socket::Socket;
use crate::metrics::record_failed_handshake;
use crate::tls::{PeerCertificate, Tls};

/// The pause after a failed accept, for example because no file descriptor is left.
const PAUSE: Duration = Duration::from_secs(1);

/// A listener that accepts connections up to the maximum number.
#[derive(Debug)]
pub struct Incoming {
    acceptor: Acceptor,
    limits: ConnectionLimits,
    tls: Option<Tls>,
    /// The connections whose handshake of TLS has not ended.
    handshakes: JoinSet<Option<Accepted>>,
    stop: watch::Receiver<bool>,
}

/// An accepted connection, after its handshake.
#[derive(Debug)]
struct Accepted {
    socket: Socket,
    info: ConnectionInfo,
    permit: OwnedSemaphorePermit,
}

impl Incoming {
    /// Creates a listener for `api`, a label of metrics and logs.
    ///
    /// After `stop` becomes `true`, connections without a request are closed.
    #[must_use]
    pub fn new(
        api: &'static str,
        listener: TcpListener,
        limits: ConnectionLimits,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            acceptor: Acceptor {
                api,
                listener,
                max_connections: limits.max_connections,
                permits: Arc::new(Semaphore::new(limits.max_connections)),
                is_full: false,
            },
            limits,
            tls: None,
            handshakes: JoinSet::new(),
            stop,
        }
    }

    /// Requires TLS. A handshake has the time of [`ConnectionLimits::head_timeout`].
    #[must_use]
    pub fn tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// Waits for the next connection.
    ///
    /// This method is cancel safe.
    pub async fn accept(&mut self) -> Connection {
        loop {
            let accepted = tokio::select! {
                Some(ended) = self.handshakes.join_next() => match ended {
                    Ok(Some(accepted)) => accepted,
                    Ok(None) | Err(_) => continue,
                },
                (socket, peer, permit) = self.acceptor.accept() => {
                    let info = ConnectionInfo::new(peer);
                    match &self.tls {
                        None => Accepted { socket: Socket::Plain(socket), info, permit },
                        Some(tls) => {
                            let (api, limit) = (self.acceptor.api, self.limits.head_timeout);
                            let handshake = handshake(api, tls.acceptor(), socket, info, permit, limit);
                            self.handshakes.spawn(handshake);
                            continue;
                        }
                    }
                }
            };
            let Accepted {
                socket,
                info,
                permit,
            } = accepted;
            let (api, stop) = (self.acceptor.api, self.stop.clone());
            return Connection::new(api, socket, info, self.limits, stop, permit);
        }
    }

    /// Returns the connections as a stream without end.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        unfold(self, async |mut incoming| {
            let connection = incoming.accept().await;
            Some((Ok(connection), incoming))
        })
    }
}

/// A listener with the permits of its connections.
#[derive(Debug)]
struct Acceptor {
    api: &'static str,
    listener: TcpListener,
    max_connections: usize,
    permits: Arc<Semaphore>,
    /// Set while the maximum is reached, so that it is logged once.
    is_full: bool,
}

impl Acceptor {
    async fn accept(&mut self) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            let permit = self.permit().await;
            match self.listener.accept().await {
                Ok((socket, peer)) => {
                    // A response can follow another small segment, which the client acknowledges with a delay.
                    if let Err(error) = socket.set_nodelay(true) {
                        debug!(api = self.api, %error, "cannot set TCP_NODELAY on a connection");
                    }
                    return (socket, peer, permit);
                }
                // The client closed the connection before it was accepted.
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    error!(api = self.api, %error, "cannot accept connections");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn permit(&mut self) -> OwnedSemaphorePermit {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            self.is_full = false;
            return permit;
        }
        if !std::mem::replace(&mut self.is_full, true) {
            let (api, limit) = (self.api, self.max_connections);
            warn!(api, limit, "connection limit reached; new connections wait");
        }
        let permit = self.permits.clone().acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }
}

/// Waits for the handshake of TLS. Returns `None` if it fails, or does not end within `limit`.
async fn handshake(
    api: &'static str,
    acceptor: TlsAcceptor,
    socket: TcpStream,
    info: ConnectionInfo,
    permit: OwnedSemaphorePermit,
    limit: Duration,
) -> Option<Accepted> {
    let peer = info.peer();
    let socket = match timeout(limit, acceptor.accept(socket)).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => {
            info!(api, %peer, %error, "TLS handshake failed; check that the client uses TLS");
            record_failed_handshake(api, "error");
            return None;
        }
        Err(_) => {
            info!(api, %peer, ?limit, "TLS handshake not finished in time");
            record_failed_handshake(api, "timeout");
            return None;
        }
    };
    let certificates = socket.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|chain| PeerCertificate::parse(chain.first()?));
    let info = match certificate {
        Some(certificate) => info.with_certificate(certificate),
        None => info,
    };
    Some(Accepted {
        socket: Socket::Tls(Box::new(socket)),
        info,
        permit,
    })
}

fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
