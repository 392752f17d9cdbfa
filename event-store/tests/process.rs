//! The server as a process: acknowledged events survive `kill -9`, and errors name the field of a request.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::path::Path;
use std::time::Duration;

use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_store_protocol::v1::expected_version::Kind;
use factum_store_protocol::v1::subscribe_response::Message;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Code, Streaming};
use tonic_types::StatusExt as _;

use server::{LIMIT, Server, any, append};

struct Connected {
    _server: Server,
    client: EventStoreServiceClient<Channel>,
}

impl Connected {
    /// Starts on the file in `dir`, and connects.
    async fn start(dir: &Path) -> Self {
        let server = Server::start(dir);
        Self {
            client: server.client().await,
            _server: server,
        }
    }

    async fn append(&mut self, stream: &str, data: &str) -> u64 {
        let appended = self.client.append(append(stream, any(), data)).await;
        appended.unwrap().into_inner().position
    }

    async fn head(&mut self) -> u64 {
        let head = self.client.get_head(v1::GetHeadRequest {}).await;
        head.unwrap().into_inner().position
    }
}

#[tokio::test]
async fn acknowledged_events_survive_a_killed_server() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let mut server = Connected::start(dir.path()).await;
        assert_eq!(server.head().await, round * 3);
        for number in 0..3 {
            let data = format!(r#"{{"round":{round},"number":{number}}}"#);
            let position = server.append(&format!("hive {round}"), &data).await;
            assert_eq!(position, round * 3 + number + 1);
        }
        // `Drop` kills the process.
    }
}

#[tokio::test]
async fn invalid_requests_name_the_field_and_store_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Connected::start(dir.path()).await;
    let mut with_tag = append("hive", any(), "{}");
    with_tag.events[0].tags = vec![String::new()];
    let mut with_id = append("hive", any(), "{}");
    with_id.events[0].id = "7".to_owned();
    let mut of_other_stream = append("hive", any(), "{}");
    of_other_stream.events[0].stream = 1;
    for (request, field) in [
        (append("hive", None, "{}"), "streams[0].expected"),
        (append("", any(), "{}"), "streams[0].stream"),
        (append("hi\u{7}ve", any(), "{}"), "streams[0].stream"),
        (of_other_stream, "events[0].stream"),
        (with_tag, "events[0].tags[0]"),
        (with_id, "events[0].id"),
    ] {
        let status = server.client.append(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let details = status.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, field, "{status}");
    }
    let unknown = v1::ReadStreamRequest {
        stream: "hive".to_owned(),
        direction: 9,
        ..v1::ReadStreamRequest::default()
    };
    let status = server.client.read_stream(unknown).await.unwrap_err();
    assert_eq!(status.message(), "invalid direction: unknown value 9");
    let missing = v1::DescribeStreamRequest {
        stream: "hive".to_owned(),
    };
    let status = server.client.describe_stream(missing).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(server.head().await, 0);
}

#[tokio::test]
async fn events_without_a_trace_context_get_that_of_the_call() {
    const OF_CALL: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OF_EVENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let dir = tempfile::tempdir().unwrap();
    let mut server = Connected::start(dir.path()).await;
    let mut two = append("hive", any(), "{}");
    two.events.push(two.events[0].clone());
    let mut with_context = append("hive", any(), "{}");
    with_context.events[0].metadata = Some(v1::Metadata {
        trace_parent: Some(OF_EVENT.to_owned()),
        ..v1::Metadata::default()
    });
    for (message, trace_parent) in [
        (two, OF_CALL),
        (with_context, OF_CALL),
        (append("hive", any(), "{}"), "00-0-0-00"),
    ] {
        let mut request = tonic::Request::new(message);
        let header = trace_parent.parse().unwrap();
        request.metadata_mut().insert("traceparent", header);
        server.client.append(request).await.unwrap();
    }
    let all = v1::ReadAllRequest::default();
    let mut read = server.client.read_all(all).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(part) = read.message().await.unwrap() {
        let events = part.events.into_iter();
        found.extend(events.map(|event| event.metadata.unwrap_or_default().trace_parent));
    }
    let found: Vec<_> = found.iter().map(Option::as_deref).collect();
    let expected = [Some(OF_CALL), Some(OF_CALL), Some(OF_EVENT), None];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn conflict_has_the_facts_in_its_details() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Connected::start(dir.path()).await;
    server.append("hive", "{}").await;
    let request = append("hive", Some(Kind::Exact(7)), "{}");
    let status = server.client.append(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((&*info.reason, &*info.domain), ("CONFLICT", "factum.store"));
    let refusal = factum_store_protocol::refusal::refusal_of(&status).unwrap();
    let Some(v1::refusal::Kind::Conflict(conflict)) = refusal.kind else {
        panic!("{refusal:?}");
    };
    let Some(v1::violation::Kind::Version(version)) = &conflict.violations[0].kind else {
        panic!("{conflict:?}");
    };
    assert_eq!((&*version.stream, version.actual), ("hive", 1));
}

async fn next(messages: &mut Streaming<v1::SubscribeResponse>) -> Message {
    let message = timeout(LIMIT, messages.message()).await.unwrap().unwrap();
    message.unwrap().message.unwrap()
}

#[tokio::test]
async fn subscription_replays_then_follows_and_is_never_silent() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Connected::start(dir.path()).await;
    for number in 0..5 {
        server.append("hive", &number.to_string()).await;
    }
    let request = v1::SubscribeRequest {
        heartbeat: Some(Duration::from_millis(200).try_into().unwrap()),
        max_batch: 2,
        ..v1::SubscribeRequest::default()
    };
    let messages = server.client.subscribe(request).await.unwrap();
    let mut messages = messages.into_inner();
    for (count, position) in [(2, 2), (2, 4), (1, 5)] {
        let Message::Events(batch) = next(&mut messages).await else {
            panic!("expected events");
        };
        assert_eq!((batch.events.len(), batch.position), (count, position));
    }
    let caught_up = next(&mut messages).await;
    assert_eq!(caught_up, Message::CaughtUp(v1::CaughtUp { position: 5 }));
    let silent = Instant::now();
    let checkpoint = next(&mut messages).await;
    assert_eq!(
        checkpoint,
        Message::Checkpoint(v1::Checkpoint { position: 5 })
    );
    assert!(silent.elapsed() < Duration::from_secs(5));
    server.append("hive", "5").await;
    loop {
        match next(&mut messages).await {
            Message::Events(batch) => {
                assert_eq!(batch.events[0].position, 6);
                break;
            }
            Message::Checkpoint(_) => {}
            other => panic!("expected events, got {other:?}"),
        }
    }
    let beyond = v1::SubscribeRequest {
        start: Some(v1::subscribe_request::Start::After(99)),
        ..v1::SubscribeRequest::default()
    };
    let messages = server.client.subscribe(beyond).await.unwrap();
    let status = messages.into_inner().message().await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}
