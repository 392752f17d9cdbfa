//! Requests that are too large.

use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::streams::append_req::Content;
use factum_compatible_protocols::kurrentdb::client::streams::append_req::options::ExpectedStreamRevision as Expected;
use factum_compatible_protocols::kurrentdb::v2::streams::streams_service_client::StreamsServiceClient;
use factum_compatible_protocols::kurrentdb::v2::streams::{
    AppendRecord, AppendRecordsRequest, SchemaFormat, SchemaInfo,
};
use tonic::Code;

use crate::client::{Connected, event, of_all, options, trailer};

fn large(id: u128, size: usize) -> Content {
    let Content::ProposedMessage(mut message) = event(id) else {
        unreachable!("the function creates a proposed message")
    };
    message.data = vec![b' '; size].into();
    Content::ProposedMessage(message)
}

#[tokio::test]
async fn oversized_appends_store_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let any = || options("hive", Expected::Any(Empty {}));
    let too_large = vec![any(), large(1, (16 << 20) + 1)];
    let status = connected.send(too_large).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let mut too_many_bytes = vec![any()];
    too_many_bytes.extend((1..=5).map(|id| large(id, 15 << 20)));
    let status = connected.send(too_many_bytes).await.unwrap_err();
    let exception = "maximum-append-size-exceeded";
    assert_eq!(trailer(&status, "exception"), exception);
    assert_eq!(trailer(&status, "maximum-append-size"), "67108864");
    let mut too_many = vec![any()];
    too_many.extend((1..=10_001).map(event));
    let status = connected.send(too_many).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert_eq!(connected.read(of_all()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn records_of_ten_thousand_streams_are_one_append() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let records = |count: usize| AppendRecordsRequest {
        records: (0..count)
            .map(|number| AppendRecord {
                schema: Some(SchemaInfo {
                    format: SchemaFormat::Json.into(),
                    name: "weighed".to_owned(),
                    id: None,
                }),
                stream: format!("hive-{number}"),
                ..AppendRecord::default()
            })
            .collect(),
        checks: Vec::new(),
    };
    let mut client = StreamsServiceClient::new(connected.channel.clone());
    let status = client.append_records(records(10_001)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let appended = client.append_records(records(10_000)).await.unwrap();
    assert_eq!(appended.into_inner().position, 10_000);
    let mut first = of_all();
    first.count_option = Some(
        factum_compatible_protocols::kurrentdb::client::streams::read_req::options::CountOption::Count(2),
    );
    assert_eq!(connected.read(first).await.unwrap().len(), 2);
}
