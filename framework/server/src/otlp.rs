//! [`Otlp`]: the export of traces to a collector, by the OpenTelemetry protocol over gRPC.
//!
//! The spans are those of `tracing`. A span with the field `trace_parent` continues that trace, also in another process:
//! the span of a call continues the trace of its caller, and the span of an event that of the request which stored it.

use std::collections::HashMap;
use std::env;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, TraceContextExt as _, Tracer, TracerProvider as _,
};
use opentelemetry::{Context, Key};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, SpanExporter, WithExportConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span as SdkSpan};
use tracing::{Level, Metadata, Span, Subscriber, warn};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

/// The field of a span with the trace context that it continues.
const TRACE_PARENT: &str = "trace_parent";

/// The spans of gRPC calls and of REST requests.
const SERVER_SPANS: [&str; 2] = ["call", "request"];

/// The spans without end, whose traces would grow forever.
///
/// The spans below them begin traces of their own.
const ENDLESS: [&str; 2] = ["consumer", "process manager"];

/// The time in which the last spans must be exported when a server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings of the export of traces.
#[derive(Debug, Clone, Args)]
pub struct OtlpSettings {
    /// URL of the collector of traces (OTLP over gRPC); without it, none are exported.
    #[arg(long, env = OTEL_EXPORTER_OTLP_ENDPOINT)]
    pub otlp_endpoint: Option<String>,
}

impl OtlpSettings {
    /// Starts the export under the name `service`; returns `None` if no collector is set.
    ///
    /// The other settings are the environment variables of OpenTelemetry. `OTEL_SERVICE_NAME` replaces the name.
    ///
    /// # Errors
    /// Returns an error if the URL, the protocol or another setting is not valid.
    pub fn start(&self, service: &'static str) -> Result<Option<Otlp>> {
        // The variable for traces overrides that for all signals, but not the flag.
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let general = variable(OTEL_EXPORTER_OTLP_ENDPOINT);
        let of_traces = variable(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
        let flag = self
            .otlp_endpoint
            .clone()
            .filter(|_| self.otlp_endpoint != general);
        let Some(endpoint) = flag.or(of_traces).or(general) else {
            return Ok(None);
        };
        let protocol = variable(OTEL_EXPORTER_OTLP_TRACES_PROTOCOL)
            .or_else(|| variable(OTEL_EXPORTER_OTLP_PROTOCOL));
        if let Some(protocol) = protocol.filter(|protocol| protocol != "grpc") {
            bail!(
                "unsupported protocol of traces: {protocol:?}; set {OTEL_EXPORTER_OTLP_PROTOCOL} to `grpc`"
            );
        }
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            bail!(
                "invalid URL of the collector of traces: {endpoint:?}; expected `http://HOST:PORT` or `https://HOST:PORT`"
            );
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&endpoint)
            .build()
            .with_context(|| format!("cannot export traces to {endpoint:?}"))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(service))
            .build();
        Ok(Some(Otlp { provider, service }))
    }
}

/// Returns the description of this process, with the name and attributes of the environment.
fn resource(service: &'static str) -> Resource {
    let found = Resource::builder().build();
    let name = found.get(&Key::from_static_str("service.name"));
    match name.filter(|name| !name.as_str().starts_with("unknown_service")) {
        Some(_) => found,
        None => Resource::builder().with_service_name(service).build(),
    }
}

/// The export of traces to a collector.
#[derive(Debug)]
pub struct Otlp {
    provider: SdkTracerProvider,
    service: &'static str,
}

impl Otlp {
    /// Creates the layer that exports spans: those of Factum and of the server, from the level `debug`.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = ContinuingTracer(self.provider.tracer(self.service));
        let own = self.service.replace('-', "_");
        let is_exported = move |metadata: &Metadata<'_>| {
            let target = metadata.target();
            let level = match metadata.is_span() {
                true => Level::DEBUG,
                false => Level::INFO,
            };
            (target.starts_with("factum") || target.starts_with(&own))
                && *metadata.level() <= level
                && !ENDLESS.contains(&metadata.name())
        };
        let filter = FilterFn::new(is_exported).with_max_level_hint(Level::DEBUG);
        OpenTelemetryLayer::new(tracer).with_filter(filter)
    }

    /// Exports the spans that are not exported yet.
    pub async fn stop(self) {
        let stop = move || self.provider.shutdown_with_timeout(STOP_TIMEOUT);
        match tokio::task::spawn_blocking(stop).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the last traces were not exported"),
            Err(error) => warn!(%error, "the export of traces failed"),
        }
    }
}

/// Returns the trace context of the current span, if it is exported.
#[must_use]
pub fn current_trace_parent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span: &SpanContext = span.span_context();
    span.is_valid().then(|| {
        let flags = span.trace_flags().to_u8();
        format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
    })
}

/// A tracer whose spans continue the trace in their attribute `trace_parent`.
#[derive(Debug, Clone)]
struct ContinuingTracer(SdkTracer);

impl Tracer for ContinuingTracer {
    type Span = SdkSpan;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> SdkSpan {
        let attributes = builder.attributes.as_deref().unwrap_or_default();
        let attribute = |name| {
            let found = attributes.iter().find(|found| found.key.as_str() == name)?;
            Some(found.value.as_str().into_owned())
        };
        let remote = attribute(TRACE_PARENT).map(remote_context);
        if SERVER_SPANS.contains(&&*builder.name) {
            builder.span_kind = Some(SpanKind::Server);
        }
        let parent = remote.as_ref().unwrap_or(parent);
        self.0.build_with_context(builder, parent)
    }
}

fn remote_context(trace_parent: String) -> Context {
    let header = HashMap::from([("traceparent".to_owned(), trace_parent)]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &header)
}
