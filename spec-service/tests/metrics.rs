//! The metrics of the server process, and the metadata that requests add to events.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/messages.rs"]
mod messages;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::path::Path;
use std::sync::Arc;

use factum::prelude::*;
use factum::store::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read};
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};
use reqwest::{Method, StatusCode};
use spec_service::metrics::SERVICE_METRICS;
use spec_service::specs::domain::SpecEvent;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use uuid::Uuid;

use messages::new;
use server::Server;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn metrics(server: &Server) -> String {
    let response = server.get("/metrics").await;
    assert_eq!(response.status(), StatusCode::OK);
    let content_type = response.headers()["content-type"]
        .to_str()
        .expect("the content type is ASCII");
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.text().await.expect("the body is UTF-8")
}

/// Returns the value of `metric` in a scrape.
fn value(text: &str, metric: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("no {metric} in\n{text}"));
    value.parse().expect("the value is a number")
}

/// Sends two creations, one write with another revision, and two requests without a route over REST.
async fn send_rest_requests(server: &Server) -> String {
    let id = server.create("limits", "a: 1\n").await;
    server.create("routes", "a: 1\n").await;
    let publish = server.request(Method::POST, &format!("/v1/specs/{id}/publish"));
    let publish = publish
        .header("If-Match", "\"9\"")
        .json(&serde_json::json!({}));
    let published = publish.send().await.expect("the server responds");
    assert_eq!(published.status(), StatusCode::PRECONDITION_FAILED);
    for path in ["/nowhere", "/v1/nothing"] {
        assert_eq!(server.get(path).await.status(), StatusCode::NOT_FOUND);
    }
    id
}

/// Makes a creation, a rejected creation, and a call of an unknown method over gRPC.
async fn make_grpc_calls(server: &Server) {
    let mut client = server.grpc().await;
    let created = client.create_spec(new("flows", "a: 1\n")).await;
    created.expect("the name is free");
    let taken = client.create_spec(new("flows", "a: 1\n")).await;
    assert_eq!(
        taken.expect_err("the name is in use").code(),
        Code::AlreadyExists
    );
    let mut grpc = tonic::client::Grpc::new(server.channel().await);
    grpc.ready().await.expect("the client connects");
    let path = PathAndQuery::from_static("/made.Up/Method");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let unknown = grpc.unary(Request::new(()), path, codec).await;
    assert_eq!(
        unknown.expect_err("the method is unknown").code(),
        Code::Unimplemented
    );
}

const EXPECTED_METRICS: [(&str, f64); 20] = [
    (
        r#"requests_refused_total{api="rest",code="revision_mismatch"}"#,
        1.0,
    ),
    (
        r#"requests_refused_total{api="rest",code="no_such_route"}"#,
        2.0,
    ),
    (
        r#"requests_refused_total{api="grpc",code="name_taken"}"#,
        1.0,
    ),
    (
        r#"factum_commands_total{command="CreateSpec",outcome="done"}"#,
        3.0,
    ),
    (
        r#"factum_commands_total{command="CreateSpec",outcome="rejected"}"#,
        1.0,
    ),
    (
        r#"factum_commands_total{command="PublishSpec",outcome="conflict"}"#,
        1.0,
    ),
    (
        r#"factum_command_duration_seconds_count{command="CreateSpec"}"#,
        4.0,
    ),
    (
        r#"factum_command_duration_seconds_bucket{command="CreateSpec",le="+Inf"}"#,
        4.0,
    ),
    (r#"factum_events_stored_total{store="sqlite"}"#, 3.0),
    (r#"factum_batch_events_sum{store="sqlite"}"#, 3.0),
    (r#"factum_consumer_position{consumer="spec_list"}"#, 3.0),
    (r#"factum_consumer_lag_events{consumer="spec_list"}"#, 0.0),
    (
        r#"http_requests_total{method="POST",route="/v1/specs",status="201"}"#,
        2.0,
    ),
    (
        r#"http_requests_total{method="POST",route="/v1/specs/{id}/publish",status="412"}"#,
        1.0,
    ),
    (
        r#"http_requests_total{method="GET",route="none",status="404"}"#,
        2.0,
    ),
    (
        r#"http_request_duration_seconds_count{method="POST",route="/v1/specs"}"#,
        2.0,
    ),
    (
        r#"grpc_calls_total{method="/spec.v1.SpecService/CreateSpec",code="Ok"}"#,
        1.0,
    ),
    (
        r#"grpc_calls_total{method="/spec.v1.SpecService/CreateSpec",code="AlreadyExists"}"#,
        1.0,
    ),
    (
        r#"grpc_calls_total{method="other",code="Unimplemented"}"#,
        1.0,
    ),
    (
        r#"grpc_call_duration_seconds_count{method="/spec.v1.SpecService/CreateSpec"}"#,
        2.0,
    ),
];

#[tokio::test]
async fn metrics_count_commands_requests_and_calls() {
    let (_dir, server) = Server::fresh();
    let id = send_rest_requests(&server).await;
    make_grpc_calls(&server).await;
    let text = metrics(&server).await;
    for (metric, expected) in EXPECTED_METRICS {
        assert_eq!(value(&text, metric), expected, "{metric}");
    }
    assert!(!text.contains(&id), "a label has an id");
    assert!(text.contains("# TYPE factum_commands_total counter\n"));
    assert!(text.contains("# TYPE factum_command_duration_seconds histogram\n"));
    assert!(text.contains("# HELP http_requests_total "));
}

/// A projection with the name of the service's list, used to pause it.
#[derive(Projection)]
#[projection(name = "spec_list", version = 1, events = SpecEvent)]
struct PausedList;

impl SqlProjection for PausedList {
    async fn create(&self, _: &mut Sql<'_>) -> Result<(), SqlError> {
        Ok(())
    }
}

impl SqlProject<SpecEvent> for PausedList {
    async fn project(&self, _: &Recorded<SpecEvent>, _: &mut Sql<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

async fn pause_list(file: &Path) {
    let store = SqliteStore::open(file).await.expect("the store opens");
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine)
        .projection(store.read_model(PausedList))
        .start()
        .await
        .expect("the runtime starts");
    let list = runtime.projection::<PausedList>();
    let paused = list.expect("the list runs").pause().await;
    paused.expect("the list is paused");
    runtime.stop().await;
    store.close().await;
}

#[tokio::test]
async fn metrics_report_projection_lag() {
    let dir = tempfile::tempdir().expect("the directory is created");
    let file = dir.path().join("specs.db");
    pause_list(&file).await;
    let server = Server::start(dir.path());
    let store = SqliteStore::open(&file).await.expect("the store opens");
    let event = || NewEvent {
        id: Uuid::now_v7(),
        name: "other.happened".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    };
    let events = std::iter::repeat_with(event).take(3).collect();
    let append = Append::stream(
        "other-1".parse().expect("the stream id is valid"),
        ExpectedVersion::Any,
        events,
    );
    store.append(append).await.expect("the events are stored");

    let text = metrics(&server).await;
    let metric = |name| {
        value(
            &text,
            &format!(r#"factum_consumer_{name}{{consumer="spec_list"}}"#),
        )
    };
    assert_eq!((metric("position"), metric("lag_events")), (0.0, 3.0));
    let seconds = metric("lag_seconds");
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
}

#[tokio::test]
async fn metrics_can_be_disabled() {
    let dir = tempfile::tempdir().expect("the directory is created");
    let server = Server::start_with(dir.path(), &[("METRICS", "false")]);
    server::problem(server.get("/metrics").await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn events_record_trace_parent_and_correlation_id() {
    let (dir, server) = Server::fresh();
    let correlation = Uuid::now_v7();
    for trace in [TRACE, "00-0-0-0"] {
        let create = server.request(Method::POST, "/v1/specs");
        let create = create.header("traceparent", trace);
        let create = create.header("X-Correlation-Id", correlation.to_string());
        let body = serde_json::json!({ "name": trace, "content": "a: 1\n" });
        let created = create
            .json(&body)
            .send()
            .await
            .expect("the server responds");
        assert_eq!(created.status(), StatusCode::CREATED);
    }
    let mut create = Request::new(new("called", "a: 1\n"));
    create.metadata_mut().insert(
        "traceparent",
        TRACE.parse().expect("the value is valid metadata"),
    );
    let id = correlation
        .to_string()
        .parse()
        .expect("the value is valid metadata");
    create.metadata_mut().insert("x-correlation-id", id);
    server
        .grpc()
        .await
        .create_spec(create)
        .await
        .expect("the name is free");

    let store = SqliteStore::open(dir.path().join("specs.db"))
        .await
        .expect("the store opens");
    let page = store
        .read(Read::all(Query::all()))
        .await
        .expect("the store can be read");
    let traces = page
        .events
        .iter()
        .map(|event| event.metadata.trace_parent.as_deref());
    assert_eq!(traces.collect::<Vec<_>>(), [Some(TRACE), None, Some(TRACE)]);
    let tree = Engine::new(store)
        .causality(correlation)
        .await
        .expect("the causality can be read");
    assert_eq!(tree.roots().count(), 3);
}

#[test]
fn book_documents_the_service_metrics() {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/src/spec-service/overview.md"
    );
    let page = std::fs::read_to_string(page).expect("the page exists");
    for metric in SERVICE_METRICS {
        let labels = metric.labels.iter().map(|label| format!("`{label}`"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let (name, kind, unit) = (metric.name, metric.kind.as_str(), metric.unit);
        let row = format!(
            "| `{name}` | {kind} | {unit} | {labels} | {} |\n",
            metric.meaning
        );
        assert!(
            page.contains(&row),
            "the page does not have this row: {row}"
        );
    }
}
