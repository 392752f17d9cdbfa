//! Appends of one connection, in parts.

use factum_compatible_protocols::kurrentdb::client::streams::batch_append_req::options::{
    DeadlineOption, ExpectedStreamPosition,
};
use factum_compatible_protocols::kurrentdb::client::streams::batch_append_req::{
    Options, ProposedMessage,
};
use factum_compatible_protocols::kurrentdb::client::streams::batch_append_resp::{
    Result as Answer, success,
};
use factum_compatible_protocols::kurrentdb::client::streams::{BatchAppendReq, BatchAppendResp};
use tokio_stream::iter;
use tonic::{Code, Status};

use crate::client::{Connected, events, id, name, of_stream};

fn first(correlation: u128, stream: &str, expected: ExpectedStreamPosition) -> BatchAppendReq {
    BatchAppendReq {
        correlation_id: id(correlation),
        options: Some(Options {
            stream_identifier: name(stream),
            expected_stream_position: Some(expected),
            deadline_option: None,
        }),
        proposed_messages: Vec::new(),
        is_final: false,
    }
}

fn part(correlation: u128, ids: &[u128], is_final: bool) -> BatchAppendReq {
    let metadata = [("type", "weighed"), ("content-type", "application/json")];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let messages = ids.iter().map(|number| ProposedMessage {
        id: id(*number),
        metadata: metadata.clone().into(),
        ..ProposedMessage::default()
    });
    BatchAppendReq {
        correlation_id: id(correlation),
        options: None,
        proposed_messages: messages.collect(),
        is_final,
    }
}

async fn send(
    connected: &mut Connected,
    messages: Vec<BatchAppendReq>,
) -> Result<Vec<BatchAppendResp>, Status> {
    let answers = connected.streams.batch_append(iter(messages)).await?;
    let mut answers = answers.into_inner();
    let mut received = Vec::new();
    while let Some(answer) = answers.message().await? {
        received.push(answer);
    }
    Ok(received)
}

#[tokio::test]
async fn parts_of_several_appends_may_alternate() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let answers = send(
        &mut connected,
        vec![
            first(1, "hive", ExpectedStreamPosition::NoStream(())),
            first(2, "bee", ExpectedStreamPosition::Any(())),
            part(1, &[11, 12], false),
            part(2, &[21], true),
            part(1, &[13], true),
            // The append was answered already.
            part(1, &[14], true),
        ],
    );
    let answers = answers.await.unwrap();
    let correlations: Vec<_> = answers
        .iter()
        .map(|answer| answer.correlation_id.clone())
        .collect();
    assert_eq!(correlations, [id(2), id(1)]);
    let Some(Answer::Success(success)) = &answers[1].result else {
        panic!("{answers:?}");
    };
    let revision = success::CurrentRevisionOption::CurrentRevision(2);
    assert_eq!(success.current_revision_option, Some(revision));
    let stored = connected.read(of_stream("hive")).await.unwrap();
    assert_eq!(events(&stored).len(), 3);
}

#[tokio::test]
async fn each_failed_append_has_its_details() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let mut late = first(2, "hive", ExpectedStreamPosition::Any(()));
    let passed = prost_types::Timestamp {
        seconds: 1,
        nanos: 0,
    };
    let deadline = DeadlineOption::Deadline21100(passed);
    late.options.as_mut().unwrap().deadline_option = Some(deadline);
    let answers = send(
        &mut connected,
        vec![
            first(1, "hive", ExpectedStreamPosition::StreamPosition(4)),
            part(1, &[11], true),
            late,
            part(2, &[21], true),
            first(3, "", ExpectedStreamPosition::Any(())),
            part(3, &[31], true),
            first(4, "hive", ExpectedStreamPosition::NoStream(())),
            part(4, &[41], true),
        ],
    );
    let answers = answers.await.unwrap();
    let found = answers.iter().map(|answer| match &answer.result {
        Some(Answer::Error(status)) => {
            let type_url = &status.details[0].type_url;
            let type_name = type_url.strip_prefix("type.googleapis.com/event_store.client.");
            (
                Code::from(status.code),
                type_name.unwrap_or(type_url).to_owned(),
            )
        }
        Some(Answer::Success(_)) => (Code::Ok, String::new()),
        None => panic!("{answer:?}"),
    });
    let found: Vec<_> = found.collect();
    let expected = [
        (Code::FailedPrecondition, "WrongExpectedVersion"),
        (Code::DeadlineExceeded, "Timeout"),
        (Code::InvalidArgument, "BadRequest"),
        (Code::Ok, ""),
    ];
    assert_eq!(found, expected.map(|(code, name)| (code, name.to_owned())));
}

#[tokio::test]
async fn too_many_incomplete_appends_end_the_call() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let messages =
        (0..1_001).map(|correlation| first(correlation, "hive", ExpectedStreamPosition::Any(())));
    let status = send(&mut connected, messages.collect()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let without_id = BatchAppendReq::default();
    let status = send(&mut connected, vec![without_id]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
