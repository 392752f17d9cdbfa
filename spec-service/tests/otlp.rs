//! Traces that a collector receives: from the request over its events to the projection.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/messages.rs"]
mod messages;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use factum_server::otlp_collector::{CollectedSpan, Collector};
use reqwest::{Method, StatusCode};
use tonic::Request;

use messages::new;
use server::Server;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Starts the service, which exports its spans without a pause.
async fn start() -> (tempfile::TempDir, Server, Collector) {
    let (collector, url) = Collector::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = Server::start_with(dir.path(), &settings);
    (dir, server, collector)
}

/// Returns the spans of the trace that contains the projected event.
fn projected(spans: &[CollectedSpan], name: &str) -> Option<Vec<CollectedSpan>> {
    let is_projection = |span: &&CollectedSpan| {
        span.name == "event" && span.attribute("consumer") == Some("spec_list")
    };
    let mut requests = spans.iter().filter(|span| span.name == name);
    let trace = requests.find_map(|request| {
        let mut events = spans.iter().filter(is_projection);
        events.find(|event| event.trace == request.trace)
    });
    let trace = &trace?.trace;
    let of_trace = spans.iter().filter(|span| span.trace == *trace);
    Some(of_trace.cloned().collect())
}

fn span<'s>(spans: &'s [CollectedSpan], name: &str) -> &'s CollectedSpan {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next();
    span.unwrap_or_else(|| panic!("no span {name} in {spans:#?}"))
}

#[tokio::test]
async fn trace_reaches_from_request_to_projection() {
    let (_dir, server, collector) = start().await;
    let create = server.request(Method::POST, "/v1/specs");
    let create = create.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    let body = serde_json::json!({ "name": "limits", "content": "a: 1\n" });
    let created = create.json(&body).send().await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);

    let spans = collector
        .wait_for(|spans| projected(spans, "request"))
        .await;
    let request = span(&spans, "request");
    assert_eq!(request.service, "spec-service");
    assert_eq!((&*request.trace, &*request.parent), (TRACE, CALLER));
    let execute = span(&spans, "execute");
    assert_eq!(execute.parent, request.id);
    assert_eq!(span(&spans, "append").parent, execute.id);
    let event = span(&spans, "event");
    assert_eq!(event.parent, request.id);
    assert_eq!(event.attribute("name"), Some("spec.created"));
}

#[tokio::test]
async fn call_without_trace_context_begins_a_trace() {
    let (_dir, server, collector) = start().await;
    let create = Request::new(new("limits", "a: 1\n"));
    server.grpc().await.create_spec(create).await.unwrap();

    let spans = collector.wait_for(|spans| projected(spans, "call")).await;
    let call = span(&spans, "call");
    assert_eq!(call.parent, "");
    assert_eq!(span(&spans, "execute").parent, call.id);
    assert_eq!(span(&spans, "event").parent, call.id);
}

#[tokio::test]
async fn last_spans_are_exported_at_shutdown() {
    let (collector, url) = Collector::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_SERVICE_NAME", "specs of the bank"),
    ];
    let server = Server::start_with(dir.path(), &settings);
    server.create("limits", "a: 1\n").await;
    assert_eq!(collector.spans(), []);
    server.terminate();
    assert!(server.wait().await.success());
    let spans = collector.spans();
    assert_eq!(span(&spans, "request").service, "specs of the bank");
}
