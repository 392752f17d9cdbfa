//! Version 2 of the protocol: appends to several streams, and the details of their errors.

use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::streams::tombstone_req::options::ExpectedStreamRevision;
use factum_compatible_protocols::kurrentdb::client::streams::{TombstoneReq, tombstone_req};
use factum_compatible_protocols::kurrentdb::v2::streams::consistency_check::{
    StreamStateCheck, Type,
};
use factum_compatible_protocols::kurrentdb::v2::streams::errors::consistency_violation::Type as Violation;
use factum_compatible_protocols::kurrentdb::v2::streams::errors::{
    AppendConsistencyViolationErrorDetails, StreamRevisionConflictErrorDetails,
};
use factum_compatible_protocols::kurrentdb::v2::streams::streams_service_client::StreamsServiceClient;
use factum_compatible_protocols::kurrentdb::v2::streams::{
    AppendRecord, AppendRecordsRequest, AppendRequest, ConsistencyCheck, SchemaFormat, SchemaInfo,
};
use prost::Message;
use tokio_stream::iter;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::client::{Connected, events, name, of_stream};

const NO_STREAM: i64 = -1;
const EXISTS: i64 = -4;

fn record(stream: &str, id: u128) -> AppendRecord {
    AppendRecord {
        record_id: Some(uuid::Uuid::from_u128(id).to_string()),
        schema: Some(SchemaInfo {
            format: SchemaFormat::Json.into(),
            name: "weighed".to_owned(),
            id: None,
        }),
        data: b"{}".to_vec().into(),
        stream: stream.to_owned(),
        ..AppendRecord::default()
    }
}

fn append(stream: &str, ids: &[u128], expected: i64) -> AppendRequest {
    AppendRequest {
        stream: stream.to_owned(),
        records: ids.iter().map(|id| record("", *id)).collect(),
        expected_revision: Some(expected),
    }
}

fn check(stream: &str, expected_state: i64) -> ConsistencyCheck {
    ConsistencyCheck {
        r#type: Some(Type::StreamState(StreamStateCheck {
            stream: stream.to_owned(),
            expected_state,
        })),
    }
}

/// Decodes the details of a status, which must have this type.
fn details<T: Message + Default>(status: &Status, type_name: &str) -> T {
    let decoded = pb::Status::decode(status.details()).unwrap();
    let [details] = &*decoded.details else {
        panic!("{decoded:?}");
    };
    let expected = format!("kurrentdb.protocol.v2.streams.errors.{type_name}");
    assert!(details.type_url.ends_with(&expected), "{details:?}");
    T::decode(&*details.value).unwrap()
}

async fn session(
    client: &mut StreamsServiceClient<Channel>,
    requests: Vec<AppendRequest>,
) -> Result<Vec<(String, i64)>, Status> {
    let appended = client.append_session(iter(requests)).await?.into_inner();
    let output = appended.output.into_iter();
    Ok(output
        .map(|stream| (stream.stream, stream.stream_revision))
        .collect())
}

#[tokio::test]
async fn session_stores_its_streams_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let mut client = StreamsServiceClient::new(connected.channel.clone());
    let both = vec![
        append("hive", &[1, 2], NO_STREAM),
        append("bee", &[3], NO_STREAM),
    ];
    let revisions = [("hive".to_owned(), 1), ("bee".to_owned(), 0)];
    assert_eq!(session(&mut client, both.clone()).await.unwrap(), revisions);
    // A repeated session is answered as the first time.
    assert_eq!(session(&mut client, both).await.unwrap(), revisions);
    let conflict = vec![append("bee", &[4], EXISTS), append("hive", &[5], 7)];
    let status = session(&mut client, conflict).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let conflict: StreamRevisionConflictErrorDetails =
        details(&status, "StreamRevisionConflictErrorDetails");
    assert_eq!(
        (conflict.expected_revision, conflict.actual_revision),
        (7, 1)
    );
    for (stream, count) in [("hive", 2), ("bee", 1)] {
        let stored = connected.read(of_stream(stream)).await.unwrap();
        assert_eq!(events(&stored).len(), count, "{stream}");
    }
}

#[tokio::test]
async fn sessions_that_are_not_valid_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let mut client = StreamsServiceClient::new(connected.channel.clone());
    let mut without_schema = append("hive", &[1], NO_STREAM);
    without_schema.records[0].schema = None;
    let mut with_other_id = append("hive", &[1], NO_STREAM);
    with_other_id.records[0].record_id = Some("7".to_owned());
    for (requests, code) in [
        (vec![], Code::FailedPrecondition),
        (vec![append("hive", &[], NO_STREAM)], Code::InvalidArgument),
        (vec![append("hive", &[1], -9)], Code::InvalidArgument),
        (vec![append("", &[1], NO_STREAM)], Code::InvalidArgument),
        (vec![without_schema], Code::InvalidArgument),
        (vec![with_other_id], Code::InvalidArgument),
    ] {
        let text = format!("{requests:?}");
        let status = session(&mut client, requests).await.unwrap_err();
        assert_eq!(status.code(), code, "{text}: {status}");
    }
    let twice = vec![
        append("hive", &[1], NO_STREAM),
        append("hive", &[2], NO_STREAM),
    ];
    let status = session(&mut client, twice).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    let tombstone = TombstoneReq {
        options: Some(tombstone_req::Options {
            stream_identifier: name("grave"),
            expected_stream_revision: Some(ExpectedStreamRevision::Any(Empty {})),
        }),
    };
    connected.streams.tombstone(tombstone).await.unwrap();
    let late = vec![append("grave", &[1], NO_STREAM)];
    let status = session(&mut client, late).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("tombstoned"), "{status}");
}

#[tokio::test]
async fn records_are_stored_if_all_checks_hold() {
    let dir = tempfile::tempdir().unwrap();
    let connected = Connected::start(dir.path()).await;
    let mut client = StreamsServiceClient::new(connected.channel.clone());
    let request = AppendRecordsRequest {
        records: vec![record("hive", 1), record("bee", 2), record("hive", 3)],
        checks: vec![check("queen", NO_STREAM), check("hive", NO_STREAM)],
    };
    let first = client.append_records(request.clone()).await.unwrap();
    let first = first.into_inner();
    let revisions = first.revisions.iter();
    let revisions: Vec<_> = revisions.map(|it| (&*it.stream, it.revision)).collect();
    assert_eq!(
        (revisions, first.position),
        (vec![("hive", 1), ("bee", 0)], 3)
    );
    let again = client.append_records(request).await.unwrap().into_inner();
    assert_eq!(again, first);
    let refused = AppendRecordsRequest {
        records: vec![record("bee", 4)],
        checks: vec![check("queen", EXISTS), check("bee", 0), check("hive", 7)],
    };
    let status = client.append_records(refused).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let failed: AppendConsistencyViolationErrorDetails =
        details(&status, "AppendConsistencyViolationErrorDetails");
    let violations = failed.violations.iter().map(|violation| {
        let Some(Violation::StreamState(state)) = &violation.r#type else {
            panic!("{violation:?}");
        };
        (violation.check_index, &*state.stream, state.actual_state)
    });
    let expected = [(0, "queen", -1), (2, "hive", 1)];
    assert_eq!(violations.collect::<Vec<_>>(), expected);
    let without_type = ConsistencyCheck { r#type: None };
    for request in [
        AppendRecordsRequest::default(),
        AppendRecordsRequest {
            records: vec![record("bee", 4)],
            checks: vec![without_type],
        },
    ] {
        let status = client.append_records(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
}
