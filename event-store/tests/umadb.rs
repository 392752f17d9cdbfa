//! UmaDB's protocol on the server process: its events and those of the native protocol are in one log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::path::Path;

use factum_compatible_protocols::umadb;
use factum_compatible_protocols::umadb::dcb_client::DcbClient;
use factum_compatible_protocols::umadb::error_response::ErrorType;
use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use prost::Message as _;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};
use uuid::Uuid;

use server::{LIMIT, Server, any, append};

struct Connected {
    server: Server,
    client: DcbClient<Channel>,
    native: EventStoreServiceClient<Channel>,
}

impl Connected {
    /// Starts on the file in `dir`, and connects with both protocols.
    async fn start(dir: &Path) -> Self {
        let server = Server::start(dir);
        let channel = server.channel().await;
        Self {
            client: DcbClient::new(channel.clone()),
            native: EventStoreServiceClient::new(channel),
            server,
        }
    }

    async fn append(&mut self, request: umadb::AppendRequest) -> Result<u64, Status> {
        let appended = self.client.append(request).await?;
        Ok(appended.into_inner().position)
    }

    async fn read(&mut self, request: umadb::ReadRequest) -> Vec<umadb::SequencedEvent> {
        let answers = self.client.read(request).await.unwrap();
        let mut answers = answers.into_inner();
        let mut events = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            events.extend(answer.events);
        }
        events
    }

    async fn read_natively(&mut self) -> Vec<v1::Event> {
        let answers = self.native.read_all(v1::ReadAllRequest::default()).await;
        let mut answers = answers.unwrap().into_inner();
        let mut events = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            events.extend(answer.events);
        }
        events
    }
}

fn event(tag: &str) -> umadb::Event {
    umadb::Event {
        event_type: "Weighed".to_owned(),
        tags: vec![tag.to_owned()],
        data: b"\x00\xff"[..].into(),
        uuid: Uuid::new_v5(&Uuid::NAMESPACE_OID, tag.as_bytes()).to_string(),
        metadata: vec![umadb::MetadataEntry {
            key: "b".to_owned(),
            value: "1".to_owned(),
        }],
    }
}

fn request(events: Vec<umadb::Event>) -> umadb::AppendRequest {
    umadb::AppendRequest {
        events,
        ..umadb::AppendRequest::default()
    }
}

/// Returns a condition that no event has `tag`.
fn without(tag: &str) -> umadb::AppendCondition {
    let item = umadb::QueryItem {
        tags: vec![tag.to_owned()],
        ..umadb::QueryItem::default()
    };
    umadb::AppendCondition {
        fail_if_events_match: Some(umadb::Query { items: vec![item] }),
        after: None,
    }
}

fn error_type(status: &Status) -> ErrorType {
    let details = umadb::ErrorResponse::decode(status.details()).unwrap();
    assert_eq!(details.message, status.message());
    details.error_type()
}

#[tokio::test]
async fn both_protocols_read_events_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let native = append("hive-1", any(), "data");
    connected.native.append(native).await.unwrap();
    let sent = event("a");
    let position = connected.append(request(vec![sent.clone()])).await.unwrap();
    assert_eq!(position, 2);

    let read = connected.read(umadb::ReadRequest::default()).await;
    assert_eq!(read[1].event, Some(sent.clone()));
    let foreign = read[0].event.clone().unwrap();
    assert_eq!(
        (&*foreign.event_type, &*foreign.data),
        ("hive.weighed", &b"data"[..])
    );
    let entry = |key: &str| {
        let entry = foreign.metadata.iter().find(|entry| entry.key == key);
        entry.unwrap().value.clone()
    };
    assert_eq!((&*entry("$stream"), &*entry("$version")), ("hive-1", "1"));

    let read = connected.read_natively().await;
    assert_eq!((read[1].position, &*read[1].stream), (2, "umadb-0"));
    assert_eq!((&read[1].id, &read[1].tags), (&sent.uuid, &sent.tags));
    assert_eq!(read[1].data, sent.data);
    assert_eq!(read[1].content_type, "application/octet-stream");
    let metadata = read[1].metadata.clone().unwrap();
    assert_eq!(metadata.foreign, br#"{"b":"1"}"#[..]);

    // A condition covers the events of both protocols.
    let conditional = umadb::AppendRequest {
        condition: Some(umadb::AppendCondition {
            after: Some(0),
            fail_if_events_match: Some(umadb::Query {
                items: vec![umadb::QueryItem {
                    types: vec!["hive.weighed".to_owned()],
                    ..umadb::QueryItem::default()
                }],
            }),
        }),
        ..request(vec![event("b")])
    };
    let refused = connected.append(conditional).await.unwrap_err();
    assert_eq!(error_type(&refused), ErrorType::Integrity);
}

#[tokio::test]
async fn subscription_has_events_of_both_protocols() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let subscribed = connected
        .client
        .subscribe(umadb::SubscribeRequest::default());
    let mut answers = subscribed.await.unwrap().into_inner();
    connected.append(request(vec![event("a")])).await.unwrap();
    let native = append("hive-1", any(), "data");
    connected.native.append(native).await.unwrap();
    let mut positions = Vec::new();
    while positions.len() < 2 {
        let answer = timeout(LIMIT, answers.message()).await.unwrap().unwrap();
        let events = answer.unwrap().events;
        assert!(!events.is_empty(), "clients end at an empty answer");
        positions.extend(events.iter().map(|event| event.position));
    }
    assert_eq!(positions, [1, 2]);
}

#[tokio::test]
async fn killed_server_keeps_events_and_tracking() {
    let dir = tempfile::tempdir().unwrap();
    let tracked = |number: u64| umadb::AppendRequest {
        condition: Some(without(&format!("tag {number}"))),
        tracking_info: Some(umadb::TrackingInfo {
            source: "upstream".to_owned(),
            position: number,
        }),
        ..request(vec![event(&format!("tag {number}"))])
    };
    for round in 1..=3 {
        let mut connected = Connected::start(dir.path()).await;
        let source = "upstream".to_owned();
        let recorded = connected
            .client
            .get_tracking_info(umadb::TrackingRequest { source });
        let recorded = recorded.await.unwrap().into_inner().position;
        assert_eq!(recorded, (round > 1).then(|| round - 1));
        assert_eq!(connected.append(tracked(round)).await.unwrap(), round);
        // Each append of an earlier process is recognized.
        for number in 1..=round {
            let repeated = connected.append(tracked(number)).await.unwrap();
            assert_eq!(repeated, number);
        }
        connected.server.signal("-9");
        connected.server.wait().await;
    }
}

#[tokio::test]
async fn invalid_requests_have_the_type_of_their_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append(request(vec![event("a")])).await.unwrap();
    let with = |change: fn(&mut umadb::Event)| {
        let mut invalid = event("b");
        change(&mut invalid);
        request(vec![event("c"), invalid])
    };
    for (request, text) in [
        (with(|event| event.event_type.clear()), "event type"),
        (with(|event| event.uuid = "7".to_owned()), "events[1].uuid"),
        (
            with(|event| event.tags.push("\n".to_owned())),
            "events[1].tags[1]",
        ),
        (
            with(|event| event.uuid = self::event("c").uuid),
            "occurs twice",
        ),
        (request(vec![umadb::Event::default(); 10_001]), "event"),
    ] {
        let refused = connected.append(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert_eq!(error_type(&refused), ErrorType::InvalidArgument);
        assert!(refused.message().contains(text), "{refused}");
    }
    #[expect(deprecated, reason = "old clients send the field")]
    let waiting = umadb::ReadRequest {
        subscribe: Some(true),
        ..umadb::ReadRequest::default()
    };
    let refused = connected.client.read(waiting).await.unwrap_err();
    assert_eq!(error_type(&refused), ErrorType::InvalidArgument);
    let beyond = umadb::SubscribeRequest {
        after: Some(9),
        ..umadb::SubscribeRequest::default()
    };
    let answers = connected.client.subscribe(beyond).await.unwrap();
    let refused = answers.into_inner().message().await.unwrap_err();
    assert_eq!(error_type(&refused), ErrorType::InvalidArgument);
    let head = connected.client.head(umadb::HeadRequest {}).await.unwrap();
    assert_eq!(head.into_inner().position, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_appends_do_not_conflict() {
    const CLIENTS: usize = 32;
    const APPENDS: usize = 10;
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let mut tasks = Vec::new();
    for client in 0..CLIENTS {
        let mut connection = connected.client.clone();
        tasks.push(tokio::spawn(async move {
            let mut positions = Vec::new();
            for number in 0..APPENDS {
                let tag = format!("{client} {number}");
                let conditional = umadb::AppendRequest {
                    condition: Some(without(&tag)),
                    ..request(vec![event(&tag)])
                };
                let appended = connection.append(conditional).await.unwrap();
                positions.push(appended.into_inner().position);
            }
            positions
        }));
    }
    let mut positions = Vec::new();
    for task in tasks {
        positions.extend(task.await.unwrap());
    }
    positions.sort_unstable();
    let expected: Vec<u64> = (1..=(CLIENTS * APPENDS) as u64).collect();
    assert_eq!(positions, expected);
    let read = connected.read(umadb::ReadRequest::default()).await;
    assert_eq!(read.len(), CLIENTS * APPENDS);
}
