//! One log for all protocols.

use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::streams::append_req::options::ExpectedStreamRevision as Expected;
use factum_compatible_protocols::kurrentdb::client::streams::append_resp::Result as Answer;
use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use uuid::Uuid;

use crate::client::{Connected, event, events, of_all, of_stream, options};
use crate::server::{any, append};

#[tokio::test]
async fn events_are_visible_in_both_protocols() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let mut native = EventStoreServiceClient::new(connected.channel.clone());
    connected.append("hive-1", &[7]).await;
    let mut request = append("hive-1", any(), r#"{"grams":5}"#);
    let metadata = v1::Metadata {
        actor: Some("ada".to_owned()),
        ..v1::Metadata::default()
    };
    request.events[0].metadata = Some(metadata);
    native.append(request).await.unwrap();

    let found = connected.read(of_stream("hive-1")).await.unwrap();
    let [first, second] = *events(&found) else {
        panic!("{found:?}");
    };
    assert_eq!((first.stream_revision, first.commit_position), (0, 1));
    assert_eq!((second.stream_revision, second.commit_position), (1, 2));
    assert_eq!(second.data, r#"{"grams":5}"#);
    assert_eq!(second.custom_metadata, r#"{"actor":"ada"}"#);

    let read = v1::ReadStreamRequest {
        stream: "hive-1".to_owned(),
        ..v1::ReadStreamRequest::default()
    };
    let mut answers = native.read_stream(read).await.unwrap().into_inner();
    let stored = answers.message().await.unwrap().unwrap().events;
    assert_eq!(stored[0].id, Uuid::from_u128(7).to_string());
    assert_eq!(stored[0].event_type, "weighed");
    assert_eq!(stored[0].metadata.as_ref().unwrap().foreign, "raw");
}

#[tokio::test]
async fn stored_results_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let messages = vec![
        options("hive", Expected::NoStream(Empty {})),
        event(1),
        event(2),
    ];
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut connected = Connected::start(dir.path()).await;
        let answer = connected.send(messages.clone()).await.unwrap();
        assert!(matches!(answer.result, Some(Answer::Success(_))));
        answers.push(answer);
        // The first event of the log is that of the server.
        assert_eq!(connected.read(of_all()).await.unwrap().len(), 3);
    }
    assert_eq!(answers[0], answers[1]);
}
