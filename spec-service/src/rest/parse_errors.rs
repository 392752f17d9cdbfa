//! [`ParseErrorBodies`]: problem bodies for the errors that hyper answers before a handler is called.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::http::StatusCode;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::problem::Problem;
use crate::metrics::{record_refusal, record_request};
use factum_server::net::{Activity, Connection};

/// A connection of HTTP/1.1 that adds a problem body to the errors that hyper answers itself.
///
/// hyper answers a request that it cannot parse with a head without a body, and closes the connection. A write between
/// two requests, after all earlier responses were flushed, can only be such a head.
pub struct ParseErrorBodies {
    connection: Connection,
    activity: Activity,
    /// The number of requests whose responses were flushed.
    answered: u64,
    /// The bytes of an error response that the socket has not accepted.
    response: Bytes,
}

impl ParseErrorBodies {
    pub fn new(connection: Connection) -> Self {
        Self {
            activity: connection.info().activity().clone(),
            connection,
            answered: 0,
            response: Bytes::new(),
        }
    }

    /// Returns whether all requests have ended and their responses were flushed.
    fn is_between_requests(&self) -> bool {
        self.activity.idle_since().is_some() && self.activity.started() == self.answered
    }

    fn poll_response(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.response.is_empty() {
            let written = Pin::new(&mut self.connection).poll_write(context, &self.response);
            let count = ready!(written)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.response.advance(count);
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns the error response with a problem body if `head` is an error head of hyper.
fn with_problem_body(head: &[u8]) -> Option<Bytes> {
    const NO_BODY: &str = "content-length: 0\r\n";
    let head = std::str::from_utf8(head).ok()?;
    let version_and_status = head.strip_prefix("HTTP/1.")?.get(1..)?;
    let status =
        StatusCode::from_bytes(version_and_status.trim_start().as_bytes().get(..3)?).ok()?;
    let (code, detail) = match status {
        StatusCode::BAD_REQUEST => (
            "malformed",
            "malformed request head; send a request line and header fields as in RFC 9112",
        ),
        StatusCode::URI_TOO_LONG => (
            "uri_too_long",
            "request target too long; shorten the path and the query",
        ),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            "head_too_large",
            "request head too large; send fewer and shorter header fields",
        ),
        _ => return None,
    };
    let started = Instant::now();
    record_request("other", "none", status.as_u16(), started);
    record_refusal("rest", code, detail);
    let body = Problem::new(status, code, detail).to_json();
    let length = format!(
        "content-type: application/problem+json\r\ncontent-length: {}\r\n",
        body.len()
    );
    head.contains(NO_BODY)
        .then(|| (head.replacen(NO_BODY, &length, 1) + &body).into())
}

impl AsyncRead for ParseErrorBodies {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for ParseErrorBodies {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_response(context))?;
        if self.is_between_requests()
            && let Some(response) = with_problem_body(bytes)
        {
            self.response = response;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper writes an error head as one slice.
        match slices {
            [head] if self.is_between_requests() => self.poll_write(context, head),
            _ => {
                ready!(self.poll_response(context))?;
                Pin::new(&mut self.connection).poll_write_vectored(context, slices)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_response(context))?;
        if self.activity.idle_since().is_some() {
            self.answered = self.activity.started();
        }
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_response(context))?;
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
