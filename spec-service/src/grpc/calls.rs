//! A layer that counts calls, and measures how long they take.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use metrics::SharedString;
use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;
use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use crate::metrics::called;

/// The paths of methods, `/package.Service/Method`: anybody may make up another.
#[derive(Clone)]
pub(super) struct Calls(Arc<HashSet<Arc<str>>>);

impl Calls {
    /// Of the services that the encoded `FileDescriptorSet`s describe.
    pub(super) fn of(descriptors: &[&[u8]]) -> Result<Self, DecodeError> {
        let mut methods = HashSet::new();
        for descriptor in descriptors {
            for file in FileDescriptorSet::decode(*descriptor)?.file {
                let package = file.package().to_owned();
                for service in file.service {
                    let name = service.name();
                    let paths = service.method.iter();
                    let paths = paths.map(|method| format!("/{package}.{name}/{}", method.name()));
                    methods.extend(paths.map(Arc::from));
                }
            }
        }
        Ok(Self(Arc::new(methods)))
    }
}

impl<S> Layer<S> for Calls {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Counting<S> {
        let calls = self.clone();
        Counting { inner, calls }
    }
}

#[derive(Clone)]
pub(super) struct Counting<S> {
    inner: S,
    calls: Calls,
}

impl<S, Q, R> Service<Request<Q>> for Counting<S>
where
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<Counted<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let method = match self.calls.0.get(request.uri().path()) {
            Some(method) => method.clone().into(),
            None => SharedString::const_str("other"),
        };
        let mut call = Call {
            method,
            began: Instant::now(),
            ended: false,
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            // An answer without a message has its code here, any other behind its messages.
            call.look(response.headers());
            Ok(response.map(|body| Counted { body, call }))
        })
    }
}

/// The body of an answer, counted when its end is sent.
pub(super) struct Counted<B> {
    body: B,
    call: Call,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.look(trailers);
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

/// A call until it ends; with its drop at the latest, when nobody waits for it any more.
struct Call {
    method: SharedString,
    began: Instant,
    ended: bool,
}

impl Call {
    fn look(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.end(Code::from_bytes(code.as_bytes()));
        }
    }

    fn end(&mut self, code: Code) {
        if !std::mem::replace(&mut self.ended, true) {
            called(&self.method, (format!("{code:?}"), self.began));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}
