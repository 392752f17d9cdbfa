//! A tower layer that records the number, status code and duration of calls.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use metrics::SharedString;
use prost::{DecodeError, Message as _};
use prost_types::{FileDescriptorSet, ServiceDescriptorProto};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

use crate::call_end::{CallEnd, EndObserver, ObservedBody};
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

impl<S, R> Service<Request<Body>> for CallMetrics<S>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<ObservedBody<R, CallMeasurement>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = match self.layer.0.get(request.uri().path()) {
            Some(method) => method.clone().into(),
            None => SharedString::const_str("other"),
        };
        let measurement = CallMeasurement {
            method,
            started: Instant::now(),
        };
        let (end, request) = CallEnd::new(measurement, request);
        let response = self.inner.call(request);
        Box::pin(async move { Ok(end.observe(response.await?)) })
    }
}

/// The measurement of one call.
#[derive(Debug)]
pub struct CallMeasurement {
    method: SharedString,
    started: Instant,
}

impl EndObserver for CallMeasurement {
    fn ended(&mut self, status: &Status) {
        record_call(&self.method, format!("{:?}", status.code()), self.started);
    }
}
