//! [`Incoming`]: the accepted connections of one API.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::{debug, error, warn};

use super::connection::Connection;
use super::connection_info::ConnectionInfo;
use super::limits::ConnectionLimits;

/// The pause after a failed accept, for example because no file descriptor is left.
const PAUSE: Duration = Duration::from_secs(1);

/// A listener that accepts connections up to the maximum number.
#[derive(Debug)]
pub struct Incoming {
    api: &'static str,
    listener: TcpListener,
    limits: ConnectionLimits,
    permits: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    /// Set while the maximum is reached, so that it is logged once.
    full: bool,
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
            api,
            listener,
            limits,
            permits: Arc::new(Semaphore::new(limits.max_connections)),
            stop,
            full: false,
        }
    }

    /// Waits for the next connection.
    ///
    /// This method is cancel safe.
    pub async fn accept(&mut self) -> Connection {
        loop {
            let permit = self.permit().await;
            match self.listener.accept().await {
                Ok((socket, peer)) => return self.open(socket, peer, permit),
                // The client closed the connection before it was accepted.
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    error!(api = self.api, %error, "cannot accept connections");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Returns the connections as a stream without end.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        unfold(self, async |mut incoming| {
            let connection = incoming.accept().await;
            Some((Ok(connection), incoming))
        })
    }

    async fn permit(&mut self) -> OwnedSemaphorePermit {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            self.full = false;
            return permit;
        }
        if !std::mem::replace(&mut self.full, true) {
            let limit = self.limits.max_connections;
            warn!(
                api = self.api,
                limit, "connection limit reached; new connections wait"
            );
        }
        let permit = self.permits.clone().acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }

    fn open(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Connection {
        // A response can follow another small segment, which the client acknowledges with a delay.
        if let Err(error) = socket.set_nodelay(true) {
            debug!(api = self.api, %error, "cannot set TCP_NODELAY on a connection");
        }
        let info = ConnectionInfo::new(peer);
        let stop = self.stop.clone();
        Connection::new(self.api, socket, info, self.limits, stop, permit)
    }
}

fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
