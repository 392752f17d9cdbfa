//! A tower layer that counts the requests of a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use hyper::{Request, Response};
use tower::{Layer, Service};

use super::activity::ActiveRequest;
use super::connection_info::ConnectionInfo;

/// The maximum size of a part of a response, in bytes.
///
/// The connection holds one part for each stream that a client does not read.
const MAX_PART: usize = 16 * 1024;

/// A layer that counts requests in the activity of their connection.
///
/// The [`ConnectionInfo`] is an extension of the request. A request ends with the last part of its response.
#[derive(Debug, Clone, Copy)]
pub struct TrackRequestsLayer;

impl<S> Layer<S> for TrackRequestsLayer {
    type Service = TrackRequests<S>;

    fn layer(&self, inner: S) -> TrackRequests<S> {
        TrackRequests(inner)
    }
}

/// The service of [`TrackRequestsLayer`].
#[derive(Debug, Clone)]
pub struct TrackRequests<S>(S);

impl<S, Q, R> Service<Request<Q>> for TrackRequests<S>
where
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<TrackedBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let info = request.extensions().get::<ConnectionInfo>();
        let active = info.map(|info| info.activity().begin());
        let response = self.0.call(request);
        Box::pin(async move {
            let response = response.await?;
            // A client of HTTP/2 can also refuse to receive the first part.
            if let Some(active) = &active {
                active.part_ready();
            }
            Ok(response.map(|body| TrackedBody {
                body,
                rest: Bytes::new(),
                active,
            }))
        })
    }
}

/// A response body in parts of at most 16 KiB.
///
/// Its progress is visible in the activity of the connection.
#[derive(Debug)]
pub struct TrackedBody<B> {
    body: B,
    /// The data of `body` that was not yet requested.
    rest: Bytes,
    active: Option<ActiveRequest>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(active) = &self.active {
            active.part_requested();
        }
        if self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            }
        }
        let size = self.rest.len().min(MAX_PART);
        let part = self.rest.split_to(size);
        if let Some(active) = &self.active {
            active.part_ready();
        }
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut total = SizeHint::new();
        total.set_lower(hint.lower().saturating_add(rest));
        if let Some(upper) = hint.upper() {
            total.set_upper(upper.saturating_add(rest));
        }
        total
    }
}
