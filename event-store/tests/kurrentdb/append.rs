//! Appends to one stream, and the trailers of their errors.

use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::streams::append_req::options::ExpectedStreamRevision as Expected;
use factum_compatible_protocols::kurrentdb::client::streams::append_req::{Content, ProposedMessage};
use factum_compatible_protocols::kurrentdb::client::streams::append_resp::wrong_expected_version::{
    CurrentRevisionOption, ExpectedRevisionOption,
};
use factum_compatible_protocols::kurrentdb::client::streams::append_resp::{Result as Answer, success};
use factum_compatible_protocols::kurrentdb::client::streams::{
    DeleteReq, TombstoneReq, delete_req, tombstone_req,
};
use tonic::Code;

use crate::client::{Connected, event, name, of_all, options, trailer};

#[tokio::test]
async fn wrong_expected_revision_is_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let messages = vec![
        options("hive", Expected::NoStream(Empty {})),
        event(1),
        event(2),
    ];
    let appended = connected.send(messages.clone()).await.unwrap();
    let Some(Answer::Success(success)) = appended.result else {
        panic!("{appended:?}");
    };
    let revision = success::CurrentRevisionOption::CurrentRevision(1);
    assert_eq!(success.current_revision_option, Some(revision));
    assert_eq!(connected.send(messages).await.unwrap(), appended);
    let refused = vec![options("hive", Expected::Revision(7)), event(3)];
    let refused = connected.send(refused).await.unwrap();
    let Some(Answer::WrongExpectedVersion(wrong)) = refused.result else {
        panic!("{refused:?}");
    };
    let actual = Some(CurrentRevisionOption::CurrentRevision(1));
    assert_eq!(wrong.current_revision_option, actual);
    let expected = Some(ExpectedRevisionOption::ExpectedRevision(7));
    assert_eq!(wrong.expected_revision_option, expected);
}

#[tokio::test]
async fn append_without_events_checks_the_revision_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let answer = connected
        .send(vec![options("hive", Expected::NoStream(Empty {}))])
        .await
        .unwrap();
    let Some(Answer::Success(success)) = answer.result else {
        panic!("{answer:?}");
    };
    let no_stream = success::CurrentRevisionOption::NoStream(Empty {});
    assert_eq!(success.current_revision_option, Some(no_stream));
    let no_position = success::PositionOption::NoPosition(Empty {});
    assert_eq!(success.position_option, Some(no_position));
}

#[tokio::test]
async fn invalid_appends_store_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let any = || Expected::Any(Empty {});
    let without = |property: &str| {
        let Content::ProposedMessage(mut message) = event(1) else {
            unreachable!("the function creates a proposed message")
        };
        message.metadata.remove(property);
        Content::ProposedMessage(message)
    };
    let mut not_utf8 = options("hive", any());
    if let Content::Options(options) = &mut not_utf8 {
        options.stream_identifier.as_mut().unwrap().stream_name = b"\xff".to_vec().into();
    }
    let mut without_expectation = options("hive", any());
    if let Content::Options(options) = &mut without_expectation {
        options.expected_stream_revision = None;
    }
    let without_id = Content::ProposedMessage(ProposedMessage {
        id: None,
        ..ProposedMessage::default()
    });
    for messages in [
        vec![],
        vec![event(1)],
        vec![options("hive", any()), options("hive", any())],
        vec![options("", any()), event(1)],
        vec![options("hi\u{7}ve", any()), event(1)],
        vec![not_utf8, event(1)],
        vec![without_expectation, event(1)],
        vec![options("hive", any()), event(1), without_id],
        vec![options("hive", any()), event(1), without("type")],
        vec![options("hive", any()), event(1), without("content-type")],
    ] {
        let status = connected.send(messages.clone()).await.unwrap_err();
        assert_eq!(
            status.code(),
            Code::InvalidArgument,
            "{messages:?}: {status}"
        );
    }
    let status = connected
        .send(vec![options("hive", any()), without("type")])
        .await
        .unwrap_err();
    let exception = "missing-required-metadata-property";
    assert_eq!(trailer(&status, "exception"), exception);
    let stored = connected.read(of_all()).await.unwrap();
    // The log begins with an event of the server.
    assert_eq!(stored.len(), 1, "{stored:?}");
}

#[tokio::test]
async fn errors_of_deletions_have_trailers() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("größe", &[1, 2]).await;
    let delete = |expected| DeleteReq {
        options: Some(delete_req::Options {
            stream_identifier: name("größe"),
            expected_stream_revision: Some(expected),
        }),
    };
    use delete_req::options::ExpectedStreamRevision as Delete;
    let wrong = delete(Delete::Revision(7));
    let status = connected.streams.delete(wrong).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(trailer(&status, "exception"), "wrong-expected-version");
    assert_eq!(trailer(&status, "stream-name"), "gr%C3%B6%C3%9Fe");
    assert_eq!(trailer(&status, "expected-version"), "7");
    assert_eq!(trailer(&status, "actual-version"), "1");
    let tombstone = TombstoneReq {
        options: Some(tombstone_req::Options {
            stream_identifier: name("größe"),
            expected_stream_revision: Some(tombstone_req::options::ExpectedStreamRevision::Any(
                Empty {},
            )),
        }),
    };
    connected.streams.tombstone(tombstone).await.unwrap();
    let any = delete(Delete::Any(Empty {}));
    let status = connected.streams.delete(any).await.unwrap_err();
    assert_eq!(trailer(&status, "exception"), "stream-deleted");
    let append = vec![options("größe", Expected::Any(Empty {})), event(3)];
    let status = connected.send(append).await.unwrap_err();
    assert_eq!(trailer(&status, "exception"), "stream-deleted");
    let missing = DeleteReq { options: None };
    let status = connected.streams.delete(missing).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
