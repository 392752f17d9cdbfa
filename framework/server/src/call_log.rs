//! A tower layer that logs each failed call, with an id of the request.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, debug, error, info, warn};
use uuid::Uuid;

use crate::net::ConnectionInfo;
use crate::trace::{continue_trace, trace_parent};

/// The header with the id of a request. The server creates an id if the client sends none.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The maximum length of an id that a client sends, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// A layer that gives each call an id and a span, and logs its end if it failed.
///
/// The response has the id in the header `x-request-id`. A call that the caller must change is logged as information, a call
/// without the required permission and an outage as a warning, a defect of the server as an error. Successful calls, conflicts
/// and cancelled calls are logged for debugging only.
#[derive(Debug, Clone, Copy)]
pub struct CallLogLayer;

impl<S> Layer<S> for CallLogLayer {
    type Service = CallLog<S>;

    fn layer(&self, inner: S) -> CallLog<S> {
        CallLog(inner)
    }
}

/// The service of [`CallLogLayer`].
#[derive(Debug, Clone)]
pub struct CallLog<S>(S);

impl<S, Q, R> Service<Request<Q>> for CallLog<S>
where
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<LoggedBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let id = request_id(request.headers());
        let info = request.extensions().get::<ConnectionInfo>();
        let span = tracing::info_span!(
            "call",
            method = request.uri().path(),
            request_id = id.to_str().unwrap_or_default(),
            peer = info.map(|info| tracing::field::display(info.peer())),
            trace_parent = trace_parent(request.headers()),
        );
        let mut call = LoggedCall {
            span: span.clone(),
            started: Instant::now(),
            logged: false,
        };
        let response = span.in_scope(|| self.0.call(continue_trace(request)));
        let response = response.instrument(span);
        Box::pin(async move {
            let mut response = response.await?;
            // A response without messages has the status in its headers, any other response in its trailers.
            call.log(response.headers());
            response.headers_mut().insert(REQUEST_ID, id);
            Ok(response.map(|body| LoggedBody { body, call }))
        })
    }
}

/// Returns the id that the client sent, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sent = headers.get(REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        (1..=MAX_REQUEST_ID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    sent.cloned().unwrap_or_else(|| {
        let id = Uuid::now_v7().to_string();
        HeaderValue::from_str(&id).expect("a UUID is a valid header value")
    })
}

/// A response body that logs the call when its trailers are sent.
#[derive(Debug)]
pub struct LoggedBody<B> {
    body: B,
    call: LoggedCall,
}

impl<B: Body + Unpin> Body for LoggedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let span = self.call.span.clone();
        let _entered = span.enter();
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.log(trailers);
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

/// A call whose end is logged once. If it is dropped before its end, it is logged as cancelled.
#[derive(Debug)]
struct LoggedCall {
    span: Span,
    started: Instant,
    logged: bool,
}

impl LoggedCall {
    fn log(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.log_end(&status);
        }
    }

    fn log_end(&mut self, status: &Status) {
        if std::mem::replace(&mut self.logged, true) {
            return;
        }
        let _entered = self.span.enter();
        let (code, message) = (format!("{:?}", status.code()), status.message());
        let seconds = self.started.elapsed().as_secs_f64();
        match status.code() {
            Code::Ok | Code::Cancelled | Code::Aborted => {
                debug!(code, message, seconds, "call ended");
            }
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented => info!(code, message, seconds, "call refused"),
            Code::Unauthenticated | Code::PermissionDenied => {
                warn!(code, message, seconds, "call refused");
            }
            Code::ResourceExhausted | Code::Unavailable | Code::DeadlineExceeded => {
                warn!(code, message, seconds, "call failed");
            }
            Code::Internal | Code::Unknown | Code::DataLoss => {
                error!(code, message, seconds, "call failed");
            }
        }
    }
}

impl Drop for LoggedCall {
    fn drop(&mut self) {
        if !self.logged {
            self.log_end(&Status::cancelled("the client ended the call"));
        }
    }
}
