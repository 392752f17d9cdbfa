//! The changes as server-sent events.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use reqwest::{Response, StatusCode, header};
use serde_json::Value;

use server::{Server, problem};

/// An event as a client reads it.
#[derive(Debug, Default, PartialEq)]
struct Sent {
    id: Option<String>,
    kind: Option<String>,
    data: Option<Value>,
}

/// A stream of events.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn open(server: &Server, path: &str) -> Self {
        Self::of(server.get(path).await)
    }

    fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let text = String::new();
        Self { response, text }
    }

    /// Returns the next event with data, or `None` at the end.
    async fn next(&mut self) -> Option<Sent> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let sent = parse(block);
                self.text = rest.to_owned();
                if sent.data.is_some() {
                    return Some(sent);
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        while names.len() < count {
            names.push(self.next().await.unwrap().kind.unwrap());
        }
        names
    }
}

fn parse(block: &str) -> Sent {
    let mut sent = Sent::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => sent.id = Some(id.to_owned()),
            Some(("event", kind)) => sent.kind = Some(kind.to_owned()),
            Some(("data", data)) => sent.data = Some(serde_json::from_str(data).unwrap()),
            _ => {}
        }
    }
    sent
}

#[tokio::test]
async fn changes_are_streamed_and_resumed() {
    let (_dir, server) = Server::fresh();
    let spec = server.create("card-limits", "limit: 1\n").await;
    let mut events = Events::open(&server, "/v1/changes").await;
    let created = events.next().await.unwrap();
    assert_eq!(created.kind.as_deref(), Some("spec.created"));
    let data = created.data.unwrap();
    assert_eq!(data["spec_id"], spec);
    assert_eq!(data["payload"]["name"], "card-limits");
    assert_eq!(data["position"].to_string(), created.id.clone().unwrap());
    let body = serde_json::json!({});
    server
        .post(&format!("/v1/specs/{spec}/publish"), &body)
        .await;
    assert_eq!(events.names(1).await, ["spec.published"]);

    let again = server.request(reqwest::Method::GET, "/v1/changes");
    let again = again.header("last-event-id", created.id.unwrap());
    let mut again = Events::of(again.send().await.unwrap());
    assert_eq!(again.names(1).await, ["spec.published"]);
}

#[tokio::test]
async fn changes_are_filtered() {
    let (_dir, server) = Server::fresh();
    let first = server.create("first", "limit: 1\n").await;
    let second = server.create("second", "limit: 1\n").await;
    for spec in [&first, &second] {
        server
            .post(&format!("/v1/specs/{spec}/publish"), &serde_json::json!({}))
            .await;
    }
    let mut published = Events::open(&server, "/v1/changes?events=spec.published").await;
    assert_eq!(published.names(2).await, ["spec.published"; 2]);
    let mut of_second = Events::open(&server, &format!("/v1/changes?spec={second}")).await;
    assert_eq!(of_second.names(2).await, ["spec.created", "spec.published"]);
}

#[tokio::test]
async fn invalid_requests_for_changes_are_refused() {
    let (_dir, server) = Server::fresh();
    for (path, status, code) in [
        (
            "/v1/changes?from_position=x",
            StatusCode::BAD_REQUEST,
            "malformed",
        ),
        ("/v1/changes?spec=x", StatusCode::BAD_REQUEST, "malformed"),
        (
            "/v1/changes?color=red",
            StatusCode::BAD_REQUEST,
            "malformed",
        ),
        (
            "/v1/changes?events=spec.x",
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_event_type",
        ),
        (
            "/v1/changes?from_position=99",
            StatusCode::CONFLICT,
            "position_beyond_head",
        ),
    ] {
        let refused = problem(server.get(path).await, status).await;
        assert_eq!(refused["code"], code, "{path}");
    }
}

#[tokio::test]
async fn number_of_streams_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), &[("MAX_STREAMS", "1")]);
    let open = Events::open(&server, "/v1/changes").await;
    let refused = server.get("/v1/changes").await;
    let refused = problem(refused, StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(refused["code"], "too_many_streams");
    drop(open);
    // The server notices the end of the first stream with the next line that it cannot send.
    while server.get("/v1/changes").await.status() != StatusCode::OK {}
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let (_dir, server) = Server::fresh();
    let mut events = Events::open(&server, "/v1/changes").await;
    server.terminate();
    let last = events.next().await.unwrap();
    assert_eq!(last.kind.as_deref(), Some("stopping"));
    assert_eq!(events.next().await, None);
    assert!(server.wait().await.success());
}
