//! [`CallEnd`]: reports the end of a call once: its status, or that the client ended it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tracing::Span;

/// Receives the end of a call.
pub trait EndObserver {
    /// Handles the end of the call. If the client ended it, the code is `Cancelled`.
    fn ended(&mut self, status: &Status);

    /// Returns the span in which the response is produced.
    fn span(&self) -> Span {
        Span::none()
    }
}

/// Reports the end of a call to its observer, once.
///
/// If it is dropped before the end, the client has ended the call.
#[derive(Debug)]
pub struct CallEnd<O: EndObserver> {
    observer: O,
    disconnect: Disconnect,
    is_reported: bool,
}

impl<O: EndObserver> CallEnd<O> {
    /// Creates the end of the call of `request`, whose body is watched from now on.
    pub fn new(observer: O, request: Request<Body>) -> (Self, Request<Body>) {
        let (disconnect, request) = Disconnect::watch(request);
        let end = Self {
            observer,
            disconnect,
            is_reported: false,
        };
        (end, request)
    }

    /// Observes the response, and then its body.
    pub fn observe<B>(mut self, response: Response<B>) -> Response<ObservedBody<B, O>> {
        // A response without messages has the status in its headers, any other response in its trailers.
        self.status_in(response.headers());
        response.map(|body| ObservedBody { body, end: self })
    }

    fn status_in(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.report(&status);
        }
    }

    fn report(&mut self, status: &Status) {
        if std::mem::replace(&mut self.is_reported, true) {
            return;
        }
        match self.disconnect.has_happened() {
            // The status is then that of the connection, and nobody receives it.
            true => {
                let status = Status::cancelled("the client disconnected");
                self.observer.ended(&status);
            }
            false => self.observer.ended(status),
        }
    }
}

impl<O: EndObserver> Drop for CallEnd<O> {
    fn drop(&mut self) {
        self.report(&Status::cancelled("the client ended the call"));
    }
}

/// A response body that reports the end of its call when its trailers are sent.
#[derive(Debug)]
pub struct ObservedBody<B, O: EndObserver> {
    body: B,
    end: CallEnd<O>,
}

impl<B: HttpBody + Unpin, O: EndObserver + Unpin> HttpBody for ObservedBody<B, O> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let span = self.end.observer.span();
        let _entered = span.enter();
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.end.status_in(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether the connection failed while the request was received, an extension of the request.
#[derive(Debug, Clone, Default)]
struct Disconnect(Arc<AtomicBool>);

impl Disconnect {
    /// Watches the body of a request, which may be watched already.
    fn watch(mut request: Request<Body>) -> (Self, Request<Body>) {
        if let Some(watched) = request.extensions().get::<Self>() {
            return (watched.clone(), request);
        }
        let disconnect = Self::default();
        request.extensions_mut().insert(disconnect.clone());
        let watched = disconnect.clone();
        let request = request.map(|body| Body::new(WatchedBody { body, watched }));
        (disconnect, request)
    }

    fn has_happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request body that notes the failure of its connection.
struct WatchedBody {
    body: Body,
    watched: Disconnect,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.watched.0.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
