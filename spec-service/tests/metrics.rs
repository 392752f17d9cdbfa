//! `GET /metrics` of the real server, and what a request hands to its events.

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/messages.rs"]
mod messages;
#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/server.rs"]
mod server;

use std::path::Path;
use std::sync::Arc;

use factum::prelude::*;
use factum::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read};
use factum_sqlite::{BoxError, SqliteProject, SqliteProjection, SqliteStore, Tables};
use reqwest::{Method, StatusCode};
use spec_service::domain::SpecEvent;
use spec_service::metrics::OWN;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use uuid::Uuid;

use messages::new;
use server::Server;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn metrics(server: &Server) -> String {
    let response = server.get("/metrics").await;
    assert_eq!(response.status(), StatusCode::OK);
    let content_type = response.headers()["content-type"].to_str().expect("text");
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.text().await.expect("text")
}

/// The value in the line of `metric`.
fn value(text: &str, metric: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("no {metric} in\n{text}"));
    value.parse().expect("a number")
}

/// Over REST: two are created, a third request meets another revision, two find no route.
async fn ask(server: &Server) -> String {
    let id = server.create("limits", "a: 1\n").await;
    server.create("routes", "a: 1\n").await;
    let publish = server.request(Method::POST, &format!("/v1/specs/{id}/publish"));
    let publish = publish
        .header("If-Match", "\"9\"")
        .json(&serde_json::json!({}));
    let published = publish.send().await.expect("an answer");
    assert_eq!(published.status(), StatusCode::PRECONDITION_FAILED);
    for path in ["/nowhere", "/v1/nothing"] {
        assert_eq!(server.get(path).await.status(), StatusCode::NOT_FOUND);
    }
    id
}

/// Over gRPC: one is created, one is rejected, a third names no method.
async fn call(server: &Server) {
    let mut client = server.grpc().await;
    let created = client.create_spec(new("flows", "a: 1\n")).await;
    created.expect("it is new");
    let taken = client.create_spec(new("flows", "a: 1\n")).await;
    assert_eq!(taken.expect_err("it is taken").code(), Code::AlreadyExists);
    let mut strange = tonic::client::Grpc::new(server.channel().await);
    strange.ready().await.expect("a connection");
    let path = PathAndQuery::from_static("/made.Up/Method");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let strange = strange.unary(Request::new(()), path, codec).await;
    assert_eq!(
        strange.expect_err("it is unknown").code(),
        Code::Unimplemented
    );
}

const COUNTED: [(&str, f64); 17] = [
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
    (r#"factum_projection_position{projection="spec_list"}"#, 3.0),
    (
        r#"factum_projection_lag_events{projection="spec_list"}"#,
        0.0,
    ),
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
async fn commands_conflicts_requests_and_calls_are_counted() {
    let (_dir, server) = Server::fresh();
    let id = ask(&server).await;
    call(&server).await;
    let text = metrics(&server).await;
    for (metric, expected) in COUNTED {
        assert_eq!(value(&text, metric), expected, "{metric}");
    }
    assert!(!text.contains(&id), "an id is in a label");
    assert!(text.contains("# TYPE factum_commands_total counter\n"));
    assert!(text.contains("# TYPE factum_command_duration_seconds histogram\n"));
    assert!(text.contains("# HELP http_requests_total "));
}

/// Takes the name of the service's list, to pause it.
#[derive(Projection)]
#[projection(name = "spec_list", version = 1, events = SpecEvent)]
struct Namesake;

#[async_trait::async_trait]
impl SqliteProjection for Namesake {
    async fn create(&self, _: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

#[factum::async_trait]
impl SqliteProject<SpecEvent> for Namesake {
    async fn project(&self, _: &Recorded<SpecEvent>, _: &mut Tables<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

async fn pause_list(file: &Path) {
    let store = SqliteStore::open(file).await.expect("a file");
    let engine = Engine::new(store.clone());
    let projections = Projections::builder(&engine)
        .with(store.read_model(Namesake))
        .start();
    projections.pause("spec_list").await.expect("it rests");
    projections.stop().await;
    store.close().await;
}

#[tokio::test]
async fn a_list_that_lags_behind_is_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("specs.db");
    pause_list(&file).await;
    let server = Server::start(dir.path());
    let store = SqliteStore::open(&file).await.expect("a file");
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
        "other-1".parse().expect("a stream"),
        ExpectedVersion::Any,
        events,
    );
    store.append(append).await.expect("it is stored");

    let text = metrics(&server).await;
    let of = |what| {
        value(
            &text,
            &format!(r#"factum_projection_{what}{{projection="spec_list"}}"#),
        )
    };
    assert_eq!((of("position"), of("lag_events")), (0.0, 3.0));
    let seconds = of("lag_seconds");
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &[("METRICS", "false")]);
    server::problem(server.get("/metrics").await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn the_trace_and_the_correlation_of_a_request_stand_in_its_events() {
    let (dir, server) = Server::fresh();
    let correlation = Uuid::now_v7();
    for trace in [TRACE, "00-0-0-0"] {
        let create = server.request(Method::POST, "/v1/specs");
        let create = create.header("traceparent", trace);
        let create = create.header("X-Correlation-Id", correlation.to_string());
        let body = serde_json::json!({ "name": trace, "content": "a: 1\n" });
        let created = create.json(&body).send().await.expect("an answer");
        assert_eq!(created.status(), StatusCode::CREATED);
    }
    let mut create = Request::new(new("called", "a: 1\n"));
    create
        .metadata_mut()
        .insert("traceparent", TRACE.parse().expect("text"));
    let id = correlation.to_string().parse().expect("text");
    create.metadata_mut().insert("x-correlation-id", id);
    server
        .grpc()
        .await
        .create_spec(create)
        .await
        .expect("it is new");

    let store = SqliteStore::open(dir.path().join("specs.db"))
        .await
        .expect("a file");
    let page = store.read(Read::all(Query::all())).await.expect("a page");
    let traces = page
        .events
        .iter()
        .map(|event| event.metadata.trace_parent.as_deref());
    assert_eq!(traces.collect::<Vec<_>>(), [Some(TRACE), None, Some(TRACE)]);
    let tree = Engine::new(store)
        .causality(correlation)
        .await
        .expect("a tree");
    assert_eq!(tree.roots().count(), 3);
}

#[test]
fn the_book_has_a_table_of_the_service_s_own_metrics() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/spec-service.md");
    let page = std::fs::read_to_string(page).expect("a page");
    for metric in OWN {
        let labels = metric.labels.iter().map(|label| format!("`{label}`"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let (name, kind, unit) = (metric.name, metric.kind.as_str(), metric.unit);
        let row = format!(
            "| `{name}` | {kind} | {unit} | {labels} | {} |\n",
            metric.meaning
        );
        assert!(page.contains(&row), "no {row}");
    }
}
