//! [`Collector`]: a collector of traces in the process of a test.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, async_trait};

/// A span that the collector has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedSpan {
    /// The name of the service.
    pub service: String,
    /// The name of the span.
    pub name: String,
    /// The id of the trace, in hexadecimal digits.
    pub trace: String,
    /// The id of the span, in hexadecimal digits.
    pub id: String,
    /// The id of the span above it; empty if there is none.
    pub parent: String,
    /// The attributes that are text, with their names.
    pub attributes: Vec<(String, String)>,
}

impl CollectedSpan {
    /// Returns the text of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(found, _)| found == name)?;
        Some(&found.1)
    }
}

/// A collector of traces, on a free port of this machine. A clone shares the spans.
#[derive(Debug, Clone, Default)]
pub struct Collector {
    spans: Arc<Mutex<Vec<CollectedSpan>>>,
    received: Arc<Notify>,
}

impl Collector {
    /// Starts a collector, and returns it with its URL.
    ///
    /// # Errors
    /// Returns an error if no port can be bound.
    pub async fn start() -> std::io::Result<(Self, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let served = Server::builder().add_service(service);
        tokio::spawn(served.serve_with_incoming(TcpIncoming::from(listener)));
        Ok((collector, url))
    }

    /// Waits until `find` returns a value for the spans that were received.
    pub async fn wait_for<T>(&self, find: impl Fn(&[CollectedSpan]) -> Option<T>) -> T {
        loop {
            let received = self.received.notified();
            if let Some(found) = find(&self.spans()) {
                return found;
            }
            received.await;
        }
    }

    /// Returns the spans that were received.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.clone()
    }
}

#[async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = Vec::new();
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|found| found.attributes);
            let attributes = texts(attributes.unwrap_or_default());
            let service = attributes
                .into_iter()
                .find(|(name, _)| name == "service.name");
            let service = service.map(|(_, name)| name).unwrap_or_default();
            let spans = resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            received.extend(spans.map(|span| CollectedSpan {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                attributes: texts(span.attributes),
            }));
        }
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.extend(received);
        drop(spans);
        self.received.notify_waiters();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let texts = attributes.into_iter().filter_map(|attribute| {
        match attribute.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => Some((attribute.key, text)),
            _ => None,
        }
    });
    texts.collect()
}

fn hex(id: &[u8]) -> String {
    use std::fmt::Write as _;
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
