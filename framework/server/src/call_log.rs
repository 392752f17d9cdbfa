//! A tower layer that logs each failed call, with an id of the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use tokio::sync::watch;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, debug, error, info, warn};
use uuid::Uuid;

use crate::call_end::{CallEnd, EndObserver, ObservedBody};
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
/// and calls that the client ended are logged for debugging only. Calls that the stop of the server ends are counted.
#[derive(Debug, Clone)]
pub struct CallLogLayer {
    stop: watch::Receiver<bool>,
    stopped: Arc<StoppedCalls>,
}

/// The number of calls that the stop of the server has ended. It is logged once, after the last call.
#[derive(Debug, Default)]
struct StoppedCalls(AtomicU64);

impl Drop for StoppedCalls {
    fn drop(&mut self) {
        let calls = *self.0.get_mut();
        if calls > 0 {
            info!(calls, "calls ended by the stop of the server");
        }
    }
}

impl CallLogLayer {
    /// Creates the layer of a server that ends its calls after `stop` becomes `true`.
    #[must_use]
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        Self {
            stop,
            stopped: Arc::default(),
        }
    }
}

impl<S> Layer<S> for CallLogLayer {
    type Service = CallLog<S>;

    fn layer(&self, inner: S) -> CallLog<S> {
        let layer = self.clone();
        CallLog { inner, layer }
    }
}

/// The service of [`CallLogLayer`].
#[derive(Debug, Clone)]
pub struct CallLog<S> {
    inner: S,
    layer: CallLogLayer,
}

impl<S, R> Service<Request<Body>> for CallLog<S>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<ObservedBody<R, LoggedCall>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut id = request_id(request.headers());
        let info = request.extensions().get::<ConnectionInfo>();
        let span = tracing::info_span!(
            "call",
            method = request.uri().path(),
            request_id = id.to_str().unwrap_or_default(),
            peer = info.map(|info| tracing::field::display(info.peer())),
            trace_parent = trace_parent(request.headers()),
        );
        let call = LoggedCall {
            span: span.clone(),
            started: Instant::now(),
            layer: self.layer.clone(),
        };
        let (end, request) = CallEnd::new(call, request);
        let response = span.in_scope(|| self.inner.call(continue_trace(request)));
        let response = response.instrument(span);
        Box::pin(async move {
            let mut response = end.observe(response.await?);
            // The id does not occur again, so the header table of the connection must not keep it (RFC 7541, 7.1.3).
            id.set_sensitive(true);
            response.headers_mut().insert(REQUEST_ID, id);
            Ok(response)
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

/// A call whose end is logged.
#[derive(Debug)]
pub struct LoggedCall {
    span: Span,
    started: Instant,
    layer: CallLogLayer,
}

impl EndObserver for LoggedCall {
    fn span(&self) -> Span {
        self.span.clone()
    }

    fn ended(&mut self, status: &Status) {
        let _entered = self.span.enter();
        let (code, message) = (format!("{:?}", status.code()), status.message());
        let seconds = self.started.elapsed().as_secs_f64();
        match status.code() {
            // The last two are conflicts, which are routine: UmaDB's and KurrentDB's protocols have the last one.
            Code::Ok | Code::Cancelled | Code::Aborted | Code::FailedPrecondition => {
                debug!(code, message, seconds, "call ended");
            }
            Code::Unavailable if *self.layer.stop.borrow() => {
                self.layer.stopped.0.fetch_add(1, Ordering::Relaxed);
                debug!(
                    code,
                    message, seconds, "call ended by the stop of the server"
                );
            }
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
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
