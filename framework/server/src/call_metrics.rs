//! A tower layer that records the number, status code and duration of calls.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use metrics::SharedString;
use prost::{DecodeError, Message as _};
use prost_types::{FileDescriptorSet, ServiceDescriptorProto};
use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use crate::metrics::record_call;

/// A layer that records metrics for the known methods.
///
/// It has the paths `/package.Service/Method`. Clients can send any path, so other paths are counted together.
#[derive(Debug, Clone)]
pub struct CallMetricsLayer(Arc<HashSet<Arc<str>>>);

impl CallMetricsLayer {
    /// Creates a layer for the services that the encoded `FileDescriptorSet`s describe.
    ///
    /// # Errors
    /// Returns an error if a descriptor is not valid.
    pub fn new(descriptors: &[&[u8]]) -> Result<Self, DecodeError> {
        let mut methods = HashSet::new();
        for_each_service(descriptors, |name, service| {
            let methods_of = service.method.iter();
            let paths = methods_of.map(|method| format!("/{name}/{}", method.name()));
            methods.extend(paths.map(Arc::from));
        })?;
        Ok(Self(Arc::new(methods)))
    }
}

/// Returns the names of the services that the encoded `FileDescriptorSet`s describe.
///
/// # Errors
/// Returns an error if a descriptor is not valid.
pub fn service_names(descriptors: &[&[u8]]) -> Result<Vec<String>, DecodeError> {
    let mut names = Vec::new();
    for_each_service(descriptors, |name, _| names.push(name))?;
    Ok(names)
}

fn for_each_service(
    descriptors: &[&[u8]],
    mut each: impl FnMut(String, &ServiceDescriptorProto),
) -> Result<(), DecodeError> {
    for descriptor in descriptors {
        for file in FileDescriptorSet::decode(*descriptor)?.file {
            for service in &file.service {
                each(format!("{}.{}", file.package(), service.name()), service);
            }
        }
    }
    Ok(())
}

impl<S> Layer<S> for CallMetricsLayer {
    type Service = CallMetrics<S>;

    fn layer(&self, inner: S) -> CallMetrics<S> {
        let layer = self.clone();
        CallMetrics { inner, layer }
    }
}

/// The service of [`CallMetricsLayer`].
#[derive(Debug, Clone)]
pub struct CallMetrics<S> {
    inner: S,
    layer: CallMetricsLayer,
}

impl<S, Q, R> Service<Request<Q>> for CallMetrics<S>
where
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<MeasuredBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let method = match self.layer.0.get(request.uri().path()) {
            Some(method) => method.clone().into(),
            None => SharedString::const_str("other"),
        };
        let mut measurement = CallMeasurement {
            method,
            started: Instant::now(),
            recorded: false,
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            // A response without messages has the code in its headers, any other response in its trailers.
            measurement.record_code(response.headers());
            Ok(response.map(|body| MeasuredBody { body, measurement }))
        })
    }
}

/// A response body that records the call when its trailers are sent.
#[derive(Debug)]
pub struct MeasuredBody<B> {
    body: B,
    measurement: CallMeasurement,
}

impl<B: Body + Unpin> Body for MeasuredBody<B> {
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
            self.measurement.record_code(trailers);
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

/// The measurement of one call. If the call is dropped before its end, it is recorded as cancelled.
#[derive(Debug)]
struct CallMeasurement {
    method: SharedString,
    started: Instant,
    recorded: bool,
}

impl CallMeasurement {
    fn record_code(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.record(Code::from_bytes(code.as_bytes()));
        }
    }

    fn record(&mut self, code: Code) {
        if !std::mem::replace(&mut self.recorded, true) {
            record_call(&self.method, format!("{code:?}"), self.started);
        }
    }
}

impl Drop for CallMeasurement {
    fn drop(&mut self) {
        self.record(Code::Cancelled);
    }
}
