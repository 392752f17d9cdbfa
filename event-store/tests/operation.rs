//! The server while its store cannot be written: health, answers, and the return to normal.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/cut_proxy.rs"]
mod cut_proxy;
#[path = "../../adapters/sqlite/tests/support/mount.rs"]
mod mount;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/resuming_subscriber.rs"]
mod resuming_subscriber;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::fs::{File, read_to_string, remove_file};
use std::io::Write as _;
use std::path::Path;

use cut_proxy::CutProxy;
use factum_compatible_protocols::kurrentdb::client::streams::streams_client::StreamsClient;
use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use mount::Mount;
use resuming_subscriber::subscribe;
use server::{LIMIT, Server, any, append, command, get};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

/// Writes a file that leaves no room.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[7; 4_096]).is_ok() {}
}

async fn wait_for_ready(metrics: &str, expected: &str) {
    let reached = timeout(LIMIT, async {
        while !get(metrics, "/readyz").await.starts_with(expected) {
            tokio::task::yield_now().await;
        }
    });
    reached.await.unwrap_or_else(|_| panic!("never {expected}"));
}

async fn wait_for_metric(metrics: &str, expected: &str) {
    let reached = timeout(LIMIT, async {
        while !get(metrics, "/metrics").await.contains(expected) {
            tokio::task::yield_now().await;
        }
    });
    if reached.await.is_err() {
        panic!("never {expected} in {}", get(metrics, "/metrics").await);
    }
}

async fn health(server: &Server, service: &str) -> Result<ServingStatus, Code> {
    let mut client = HealthClient::new(server.channel().await);
    let service = service.to_owned();
    let checked = client.check(HealthCheckRequest { service }).await;
    checked
        .map(|checked| checked.into_inner().status())
        .map_err(|status| status.code())
}

#[tokio::test]
async fn health_is_that_of_the_store_and_its_services() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    for service in [
        "",
        "liveness",
        "factum.store.v1.EventStoreService",
        "umadb.v1.DCB",
    ] {
        assert_eq!(
            health(&server, service).await,
            Ok(ServingStatus::Serving),
            "{service:?}"
        );
    }
    assert_eq!(health(&server, "made.Up").await, Err(Code::NotFound));
    // A watch reports the stop, and ends with it.
    let mut client = HealthClient::new(server.channel().await);
    let watch = client.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    server.signal("-TERM");
    let ended = timeout(LIMIT, async {
        while let Ok(Some(_)) = watch.message().await {}
    });
    ended.await.expect("the watch ends");
    assert!(server.wait().await.success());
}

#[tokio::test]
async fn server_on_a_full_disk_is_not_ready_until_there_is_room() {
    let Some(disk) = Mount::new("8m") else { return };
    let dir = tempfile::tempdir().unwrap();
    let log = File::create(dir.path().join("log")).unwrap();
    let settings = [("METRICS_ADDR", "127.0.0.1:0")];
    let mut server = Server::start_logging(disk.path(), &settings, log);
    let metrics = server.next_url("metrics");
    let mut client = server.client().await;
    client
        .append(append("hive", any(), "before"))
        .await
        .unwrap();
    wait_for_ready(&metrics, "HTTP/1.1 200").await;

    let filler = disk.path().join("filler");
    fill(&filler);
    wait_for_ready(&metrics, "HTTP/1.1 503").await;
    assert_eq!(health(&server, "").await, Ok(ServingStatus::NotServing));
    assert_eq!(
        health(&server, "liveness").await,
        Ok(ServingStatus::Serving)
    );
    let refused = client.append(append("hive", any(), vec![7; 20_000])).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
    assert!(
        refused.metadata().contains_key("x-request-id"),
        "{refused:?}"
    );
    // It still reads.
    let head = client.get_head(v1::GetHeadRequest {}).await.unwrap();
    assert_eq!(head.into_inner().position, 1);
    let log = read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("WARN") && log.contains("call failed"), "{log}");
    assert!(
        log.contains("/factum.store.v1.EventStoreService/Append"),
        "{log}"
    );

    remove_file(&filler).unwrap();
    wait_for_ready(&metrics, "HTTP/1.1 200").await;
    assert_eq!(health(&server, "").await, Ok(ServingStatus::Serving));
    client.append(append("hive", any(), "after")).await.unwrap();
}

#[test]
fn store_that_cannot_be_opened_ends_the_server_with_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    for (url, expected) in [
        (
            "postgres://ada:secret@127.0.0.1:1/events",
            "cannot open the PostgreSQL database",
        ),
        (
            "sqlite:missing/events.db",
            "cannot open the SQLite file missing/events.db",
        ),
    ] {
        let ended = command(dir.path(), &[("DATABASE_URL", url)])
            .output()
            .unwrap();
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(ended.stdout, b"");
    }
}

/// Returns the lines of a log without colours.
fn log_lines(path: &Path) -> Vec<String> {
    let log = read_to_string(path).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// Returns whether a line is a warning or an error, except those about a server without users and TLS.
fn is_problem(line: &str) -> bool {
    let is_about_start = line.contains("are not authenticated") || line.contains("not encrypted");
    line.contains("ERROR") || line.contains("WARN") && !is_about_start
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnected_clients_are_no_errors_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let settings = [("METRICS_ADDR", "127.0.0.1:0")];
    let mut server = Server::start_logging(dir.path(), &settings, File::create(&path).unwrap());
    let metrics = server.next_url("metrics");
    // The requests of these calls do not end. Each proxy cuts the connection in the middle of a call.
    let proxy = CutProxy::start(server.address()).await;
    let connect = || async {
        let endpoint = Channel::from_shared(proxy.url.clone()).unwrap();
        endpoint.connect().await.unwrap()
    };
    let (_appends, requests) = tokio::sync::mpsc::channel(1);
    let requests = ReceiverStream::new(requests);
    let mut client = EventStoreServiceClient::new(connect().await);
    let mut native = client.append_stream(requests).await.unwrap().into_inner();
    let (_batches, requests) = tokio::sync::mpsc::channel(1);
    let requests = ReceiverStream::new(requests);
    let mut client = StreamsClient::new(connect().await);
    let mut batches = client.batch_append(requests).await.unwrap().into_inner();
    wait_for_metric(&metrics, "connections_open{api=\"grpc\"} 2").await;
    proxy.cut();
    assert!(native.message().await.is_err());
    assert!(batches.message().await.is_err());
    wait_for_metric(&metrics, "connections_open{api=\"grpc\"} 0").await;
    for method in [
        "factum.store.v1.EventStoreService/AppendStream",
        "event_store.client.streams.Streams/BatchAppend",
    ] {
        let count = format!("grpc_calls_total{{method=\"/{method}\",code=\"Cancelled\"}} 1");
        wait_for_metric(&metrics, &count).await;
    }
    server.signal("-TERM");
    assert!(server.wait().await.success());
    let log = log_lines(&path);
    assert_eq!(log.iter().find(|line| is_problem(line)), None, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_the_stop_ends_are_one_line_of_the_log() {
    const SUBSCRIBERS: usize = 50;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let server = Server::start_logging(dir.path(), &[], File::create(&path).unwrap());
    let mut client = server.client().await;
    let mut subscriptions = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut messages = subscribe(&mut client, 0).await.unwrap();
        messages.message().await.unwrap();
        subscriptions.push(messages);
    }
    server.signal("-TERM");
    for mut messages in subscriptions {
        let status = loop {
            if let Err(status) = messages.message().await {
                break status;
            }
        };
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    }
    assert!(server.wait().await.success());
    let log = log_lines(&path);
    let about_stop = log.iter().filter(|line| line.contains("ended by the stop"));
    let about_stop: Vec<_> = about_stop.collect();
    assert_eq!(about_stop.len(), 1, "{log:#?}");
    assert!(
        about_stop[0].contains(&format!("calls={SUBSCRIBERS}")),
        "{about_stop:?}"
    );
    assert_eq!(log.iter().find(|line| is_problem(line)), None, "{log:#?}");
}
