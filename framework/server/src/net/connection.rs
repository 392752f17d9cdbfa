//! [`Connection`]: a socket that fails when a client exceeds a limit.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Sleep, sleep};
use tonic::transport::server::Connected;
use tracing::debug;

use super::connection_info::ConnectionInfo;
use super::limits::ConnectionLimits;
use super::socket::Socket;
use crate::metrics::ConnectionMetrics;

/// The start of the preface that a client of HTTP/2 sends (RFC 9113, 3.4).
const PREFACE_START: [u8; 3] = *b"PRI";

/// The length of the preface.
const PREFACE_LENGTH: usize = 24;

/// The time in which a client must receive the data that is ready for it after the service stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection of a client.
///
/// If the client exceeds a limit, the next read or write fails, and the server drops the connection.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    limits: ConnectionLimits,
    info: ConnectionInfo,
    stop: watch::Receiver<bool>,
    stop_seen: Option<Instant>,
    received: usize,
    first_bytes: [u8; PREFACE_START.len()],
    /// The time of the first byte after the last request.
    head_since: Option<Instant>,
    /// The time since which the socket does not accept all data.
    blocked_since: Option<Instant>,
    check: Pin<Box<Sleep>>,
    metrics: ConnectionMetrics,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// Creates a connection to `api` on `socket`. The permit is released when the connection is dropped.
    #[must_use]
    pub fn new(
        api: &'static str,
        socket: Socket,
        info: ConnectionInfo,
        limits: ConnectionLimits,
        stop: watch::Receiver<bool>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            socket,
            limits,
            info,
            stop,
            stop_seen: None,
            received: 0,
            first_bytes: [0; PREFACE_START.len()],
            head_since: None,
            blocked_since: None,
            check: Box::pin(sleep(interval(&limits))),
            metrics: ConnectionMetrics::new(api),
            _permit: permit,
        }
    }

    /// Returns the facts that the requests of this connection have as an extension.
    #[must_use]
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Checks the limits periodically. Fails if the client exceeds one.
    fn poll_limits(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.check.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if let Some(limit) = self.exceeded(now) {
                let (api, peer) = (self.metrics.api(), self.info.peer());
                debug!(api, %peer, limit, "connection closed");
                self.metrics.record_closed(limit);
                return Err(io::Error::new(io::ErrorKind::TimedOut, limit));
            }
            let next = now + interval(&self.limits);
            self.check.as_mut().reset(next);
        }
        Ok(())
    }

    /// Returns the name of the limit that the client exceeds at `now`, if any.
    fn exceeded(&mut self, now: Instant) -> Option<&'static str> {
        let over = |since: Option<Instant>, limit| since.is_some_and(|since| now - since > limit);
        if *self.stop.borrow() {
            self.stop_seen.get_or_insert(now);
        }
        let send_timeout = match self.stop_seen {
            Some(_) => self.limits.send_timeout.min(STOP_TIMEOUT),
            None => self.limits.send_timeout,
        };
        if over(self.blocked_since, send_timeout) {
            return Some("send_timeout");
        }
        let unread_timeout = match self.stop_seen {
            Some(_) => self.limits.unread_timeout.min(STOP_TIMEOUT),
            None => self.limits.unread_timeout,
        };
        let unread_since = match self.blocked_since {
            Some(_) => None,
            None => self.info.activity().unsent_since(),
        };
        if over(unread_since, unread_timeout) {
            return Some("unread_timeout");
        }
        let idle_since = self.info.activity().idle_since()?;
        // A head is complete when its request begins, so an older time belongs to a request that has ended.
        let head_since = self.head_since.filter(|since| *since > idle_since);
        if over(head_since, self.limits.head_timeout) && !self.has_preface() {
            return Some("head_timeout");
        }
        if over(Some(idle_since), self.limits.idle_timeout) {
            return Some("idle_timeout");
        }
        // The server sent the client a notice that it stops. It does not wait for an answer.
        over(self.stop_seen, STOP_TIMEOUT).then_some("stop")
    }

    /// Returns whether the client speaks HTTP/2. It may then send frames without a request at any time.
    fn has_preface(&self) -> bool {
        self.first_bytes == PREFACE_START && self.received >= PREFACE_LENGTH
    }

    fn record_read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let missing = self.first_bytes.iter_mut().skip(self.received);
        missing.zip(bytes).for_each(|(first, byte)| *first = *byte);
        self.received = self.received.saturating_add(bytes.len());
        self.metrics.record_received(bytes.len());
        let Some(idle_since) = self.info.activity().idle_since() else {
            return;
        };
        if self.head_since.is_none_or(|since| since <= idle_since) {
            self.head_since = Some(Instant::now());
        }
    }

    fn record_write(&mut self, written: &Poll<io::Result<usize>>, offered: usize) {
        if let Poll::Ready(Ok(count)) = written {
            self.metrics.record_sent(*count);
        }
        match written {
            Poll::Ready(Ok(count)) if *count == offered => self.blocked_since = None,
            Poll::Ready(Err(_)) => {}
            Poll::Ready(Ok(_)) | Poll::Pending => {
                self.blocked_since.get_or_insert_with(Instant::now);
            }
        }
    }
}

/// Returns the interval in which the limits are checked.
fn interval(limits: &ConnectionLimits) -> Duration {
    let shortest = limits
        .head_timeout
        .min(limits.idle_timeout)
        .min(limits.send_timeout)
        .min(limits.unread_timeout);
    (shortest / 4).clamp(Duration::from_millis(10), Duration::from_millis(500))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_limits(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(context, buffer);
        self.record_read(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_limits(context)?;
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.record_write(&written, bytes.len());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_limits(context)?;
        let offered = slices.iter().map(|slice| slice.len()).sum();
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.record_write(&written, offered);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        // A connection with TLS accepts more than its socket.
        match flushed {
            Poll::Ready(Ok(())) => self.blocked_since = None,
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.blocked_since.get_or_insert_with(Instant::now);
            }
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}
