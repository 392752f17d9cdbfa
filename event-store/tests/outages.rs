//! The server while its database is away, as clients see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/group_client.rs"]
mod group_client;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/resuming_subscriber.rs"]
mod resuming_subscriber;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::time::Duration;

use factum_compatible_protocols::umadb;
use factum_compatible_protocols::umadb::dcb_client::DcbClient;
use factum_store_protocol::v1;
use factum_store_protocol::v1::consume_response::Message as Consumed;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_tests::own_server::OwnServer;
use group_client::{Consumer, Groups, position, start};
use resuming_subscriber::{MAX_SILENCE, Received, subscribe};
use server::{LIMIT, Server, any, append, get};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

type Client = EventStoreServiceClient<Channel>;

/// The time in which a call must be answered while the database is away.
const ANSWER: Duration = Duration::from_secs(15);

/// Waits for the refusal of a call, which must say that the client can try again.
async fn refused<T>(call: &str, answer: impl Future<Output = Result<T, Status>>) {
    let answer = timeout(ANSWER, answer).await;
    let answer = answer.unwrap_or_else(|_| panic!("no answer to {call}"));
    let Err(status) = answer else {
        panic!("{call} succeeds without a database");
    };
    assert_can_retry(call, &status);
}

/// Asserts that a status says that nothing was done, and when the client can try again.
fn assert_can_retry(call: &str, status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{call}: {status:?}");
    let retry = status.get_details_retry_info();
    assert!(retry.is_some(), "{call} has no RetryInfo: {status:?}");
}

/// Waits for the first message of a stream of answers.
async fn first<T>(
    answers: impl Future<Output = Result<tonic::Response<Streaming<T>>, Status>>,
) -> Result<Option<T>, Status> {
    answers.await?.into_inner().message().await
}

async fn health(server: &Server, service: &str) -> ServingStatus {
    let mut client = HealthClient::new(server.channel().await);
    let service = service.to_owned();
    let checked = client.check(HealthCheckRequest { service }).await;
    checked.unwrap().into_inner().status()
}

async fn wait_for_ready(metrics: &str, expected: &str) {
    let reached = timeout(LIMIT, async {
        while !get(metrics, "/readyz").await.starts_with(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    reached.await.unwrap_or_else(|_| panic!("never {expected}"));
}

/// Appends an event; tries again as long as the server says that nothing was stored.
async fn stored(client: &mut Client, stream: &str, data: &str) -> u64 {
    let appended = timeout(LIMIT, async {
        loop {
            match client.append(append(stream, any(), data)).await {
                Ok(appended) => return appended.into_inner().position,
                Err(status) => assert_can_retry("Append", &status),
            }
        }
    });
    appended.await.expect("the database is back")
}

/// Receives up to `position`; connects again if the server has ended the subscription.
async fn receive(
    client: &mut Client,
    subscription: &mut Streaming<v1::SubscribeResponse>,
    received: &mut Received,
    position: u64,
) {
    while received.position() < position {
        let message = timeout(MAX_SILENCE, subscription.message()).await;
        match message.expect("a subscription is never silent") {
            Ok(Some(response)) => received.add(response.message.unwrap()),
            Ok(None) => panic!("a subscription ends with an error only"),
            Err(status) => {
                assert_can_retry("Subscribe", &status);
                *subscription = subscribe(client, received.position()).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_unavailable_until_the_database_returns() {
    let Some(database) = OwnServer::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let url = database.url();
    let settings = [("DATABASE_URL", &*url), ("METRICS_ADDR", "127.0.0.1:0")];
    let mut server = Server::start_with(dir.path(), &settings);
    let metrics = server.next_url("metrics");
    let mut client = server.client().await;
    let head = stored(&mut client, "hive-1", "before").await;
    wait_for_ready(&metrics, "HTTP/1.1 200").await;

    database.control("stop");
    wait_for_ready(&metrics, "HTTP/1.1 503").await;
    assert_eq!(health(&server, "").await, ServingStatus::NotServing);
    assert_eq!(health(&server, "liveness").await, ServingStatus::Serving);
    let new = || append("hive-1", any(), "during");
    // The connection of the first append is lost before its answer, so the server does not know its outcome.
    let interrupted = client.append(new()).await.unwrap_err();
    let reason = interrupted.get_details_error_info().unwrap().reason;
    assert_eq!(reason, "INTERRUPTED", "{interrupted:?}");
    refused("Append", client.clone().append(new())).await;
    let read = v1::ReadStreamRequest {
        stream: "hive-1".to_owned(),
        ..v1::ReadStreamRequest::default()
    };
    refused("ReadStream", first(client.clone().read_stream(read))).await;
    let read = v1::ReadAllRequest::default();
    refused("ReadAll", first(client.clone().read_all(read))).await;
    refused("GetHead", client.clone().get_head(v1::GetHeadRequest {})).await;
    let list = v1::ListStreamsRequest::default();
    refused("ListStreams", client.clone().list_streams(list)).await;
    let all = v1::SubscribeRequest::default();
    refused("Subscribe", first(client.clone().subscribe(all))).await;
    let mut groups = Groups::new(server.channel().await);
    let describe = v1::DescribeGroupRequest {
        name: "mail".to_owned(),
    };
    refused("DescribeGroup", groups.describe_group(describe)).await;
    let mut umadb = DcbClient::new(server.channel().await);
    let code = |status: Status| status.code();
    let head_call = umadb.head(umadb::HeadRequest::default()).await;
    assert_eq!(head_call.map_err(code).err(), Some(Code::Unavailable));

    database.control("start");
    wait_for_ready(&metrics, "HTTP/1.1 200").await;
    assert_eq!(health(&server, "").await, ServingStatus::Serving);
    // Nothing of the refused append was stored.
    assert_eq!(stored(&mut client, "hive-1", "after").await, head + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_lose_nothing_while_the_database_restarts() {
    let Some(database) = OwnServer::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let url = database.url();
    let settings = [("DATABASE_URL", &*url), ("METRICS_ADDR", "127.0.0.1:0")];
    let mut server = Server::start_with(dir.path(), &settings);
    let metrics = server.next_url("metrics");
    let mut client = server.client().await;
    let mut head = stored(&mut client, "hive-1", "first").await;
    let mut subscription = subscribe(&mut client, 0).await.unwrap();
    let mut received = Received::default();
    receive(&mut client, &mut subscription, &mut received, head).await;

    for stop in ["stop", "crash"] {
        database.control(stop);
        wait_for_ready(&metrics, "HTTP/1.1 503").await;
        // The client either gets a heartbeat, or a status that says that it can subscribe again.
        let message = timeout(MAX_SILENCE, subscription.message()).await;
        match message.expect("a subscription is never silent") {
            Ok(Some(response)) => received.add(response.message.unwrap()),
            Ok(None) => panic!("a subscription ends with an error only"),
            Err(status) => assert_can_retry("Subscribe", &status),
        }
        database.control("start");
        wait_for_ready(&metrics, "HTTP/1.1 200").await;
        head = stored(&mut client, "hive-1", stop).await;
        receive(&mut client, &mut subscription, &mut received, head).await;
    }
    assert_eq!(received.position(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_settle_each_event_despite_an_outage() {
    let Some(database) = OwnServer::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let url = database.url();
    let settings = [
        ("DATABASE_URL", &*url),
        ("METRICS_ADDR", "127.0.0.1:0"),
        ("GROUP_LEASE", "2"),
    ];
    let mut server = Server::start_with(dir.path(), &settings);
    let metrics = server.next_url("metrics");
    let mut client = server.client().await;
    let mut groups = Groups::new(server.channel().await);
    let create = v1::CreateGroupRequest {
        name: "mail".to_owned(),
        ..v1::CreateGroupRequest::default()
    };
    groups.create_group(create).await.unwrap();
    let first = stored(&mut client, "hive-1", "first").await;
    let mut consumer = Consumer::join(&mut groups, start("mail", 10))
        .await
        .unwrap();
    let delivery = consumer.delivery().await;
    assert_eq!(position(&delivery), first);

    database.control("stop");
    wait_for_ready(&metrics, "HTTP/1.1 503").await;
    // The answer is not confirmed before it is stored.
    consumer.ack(&delivery).await;
    let message = timeout(MAX_SILENCE, consumer.responses.message()).await;
    let message = message.expect("a group is never silent").unwrap().unwrap();
    assert!(
        !matches!(message.message, Some(Consumed::Settled(_))),
        "{message:?}"
    );
    database.control("start");
    wait_for_ready(&metrics, "HTTP/1.1 200").await;
    let second = stored(&mut client, "hive-1", "second").await;

    // The group continues: the first event is settled, or delivered again, and then the second one.
    let mut settled = Vec::new();
    while settled != [first, second] {
        match consumer.next().await {
            Some(Consumed::Settled(answers)) => settled.extend(answers.positions),
            Some(Consumed::Delivery(delivery)) => consumer.ack(&delivery).await,
            Some(Consumed::Stopped(stopped)) => panic!("{stopped:?}"),
            Some(_) => {}
            None => panic!("the call has ended without a reason"),
        }
    }
}
