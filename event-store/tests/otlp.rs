//! Traces that a collector receives: calls of every protocol, with the operations of the store below them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use factum_compatible_protocols::umadb;
use factum_compatible_protocols::umadb::dcb_client::DcbClient;
use factum_server::otlp_collector::{CollectedSpan, Collector};
use factum_store_protocol::v1;
use server::{Server, any, append, command};
use tonic::Request;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

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

/// Returns the span of the call of `method`, and the names of the spans below it.
fn call(spans: &[CollectedSpan], method: &str) -> Option<(CollectedSpan, Vec<String>)> {
    let mut calls = spans.iter().filter(|span| span.name == "call");
    let call = calls.find(|call| call.attribute("method") == Some(method))?;
    let below = spans.iter().filter(|span| span.parent == call.id);
    Some((call.clone(), below.map(|span| span.name.clone()).collect()))
}

async fn events(server: &Server) -> Vec<v1::Event> {
    let read = v1::ReadAllRequest::default();
    let mut read = server.client().await.read_all(read).await.unwrap();
    let mut events = Vec::new();
    while let Some(part) = read.get_mut().message().await.unwrap() {
        events.extend(part.events);
    }
    events
}

#[tokio::test]
async fn native_append_continues_the_trace_of_its_caller() {
    let (_dir, server, collector) = start().await;
    let mut request = Request::new(append("hive-1", any(), "1"));
    let trace_parent = format!("00-{TRACE}-{CALLER}-01").parse().unwrap();
    request.metadata_mut().insert("traceparent", trace_parent);
    server.client().await.append(request).await.unwrap();

    let method = "/factum.store.v1.EventStoreService/Append";
    let (call, below) = collector.wait_for(|spans| call(spans, method)).await;
    assert_eq!(call.service, "event-store");
    assert_eq!((&*call.trace, &*call.parent), (TRACE, CALLER));
    assert_eq!(below, ["append"]);
    let events = events(&server).await;
    let metadata = events[0].metadata.as_ref().unwrap();
    let expected = format!("00-{TRACE}-{}-01", call.id);
    assert_eq!(metadata.trace_parent, Some(expected));
}

#[tokio::test]
async fn calls_of_other_protocols_have_spans() {
    let (_dir, server, collector) = start().await;
    let mut client = DcbClient::new(server.channel().await);
    let event = umadb::Event {
        event_type: "hive.weighed".to_owned(),
        ..umadb::Event::default()
    };
    let append = umadb::AppendRequest {
        events: vec![event],
        ..umadb::AppendRequest::default()
    };
    client.append(append).await.unwrap();
    let method = "/umadb.v1.DCB/Append";
    let (_, below) = collector.wait_for(|spans| call(spans, method)).await;
    assert_eq!(below, ["append"]);
    // Such a client reads the metadata that were written, and nothing else.
    let events = events(&server).await;
    let metadata = events[0].metadata.clone().unwrap_or_default();
    assert_eq!(metadata.trace_parent, None);
}

#[test]
fn invalid_settings_of_traces_end_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let run = |settings: &[(&str, &str)]| {
        let ended = command(dir.path(), settings).output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        String::from_utf8(ended.stderr).unwrap()
    };
    let error = run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]);
    let expected =
        "invalid URL of the collector of traces: \"collector\"; expected `http://HOST:PORT`";
    assert!(error.contains(expected), "{error}");
    let error = run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ]);
    let expected = "unsupported protocol of traces: \"http/protobuf\"; set OTEL_EXPORTER_OTLP_PROTOCOL to `grpc`";
    assert!(error.contains(expected), "{error}");
}
