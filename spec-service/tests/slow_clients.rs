//! Clients that hold connections without using them.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/raw_http2.rs"]
mod raw_http2;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message as _;
use reqwest::{Method, StatusCode, header};
use spec_service::grpc::generated::WatchSpecsRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tonic::Code;

use raw_http2::RawHttp2;
use server::Server;

/// A time in which every limit of these tests is exceeded and noticed, also on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// The identifier of the setting `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113, 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

const WATCH: &str = "/spec.v1.SpecService/WatchSpecs";

fn server(settings: &[(&str, &str)]) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().expect("the directory is created");
    let server = Server::start_with(dir.path(), settings);
    (dir, server)
}

async fn connect(address: SocketAddr) -> TcpStream {
    let connected = TcpStream::connect(address).await;
    connected.expect("the server accepts")
}

/// Waits until the server closes the connection. A reset also closes it.
async fn wait_for_close(socket: &mut TcpStream) {
    let mut bytes = Vec::new();
    let closed = timeout(LONG, socket.read_to_end(&mut bytes)).await;
    let _ = closed.expect("the server closes the connection");
}

/// Waits until the server has closed `count` connections because of `limit`.
async fn wait_for_metric(server: &Server, api: &str, limit: &str, count: u32) {
    let line = format!("connections_closed_total{{api=\"{api}\",limit=\"{limit}\"}} {count}\n");
    let scraped = timeout(LONG, async {
        loop {
            let text = server.get("/metrics").await.text().await;
            if text.expect("the body is UTF-8").contains(&line) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    scraped
        .await
        .unwrap_or_else(|_| panic!("the metrics do not have the line {line}"));
}

/// Creates a specification with a content of 1,000,000 bytes, and returns its id.
async fn create_large(server: &Server) -> String {
    let content = format!("text: {}\n", "x".repeat(999_993));
    server.create("large", &content).await
}

/// Requests a large specification many times, and reads nothing.
async fn request_without_reading(server: &Server, id: &str) -> TcpStream {
    let mut socket = connect(server.rest_address()).await;
    let request = format!("GET /v1/specs/{id} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let requests = request.repeat(20);
    socket
        .write_all(requests.as_bytes())
        .await
        .expect("the server reads");
    socket
}

/// Watches all changes, and lets the server send nothing.
async fn watch_without_reading(server: &Server) -> RawHttp2 {
    let settings = [(INITIAL_WINDOW_SIZE, 0)];
    let mut client = RawHttp2::connect(server.grpc_address(), &settings).await;
    let message = WatchSpecsRequest { from_position: 0 }.encode_to_vec();
    client.ping_and_call(WATCH, &message).await;
    client
}

#[tokio::test]
async fn half_sent_head_is_closed() {
    let (_dir, server) = server(&[("HEAD_TIMEOUT", "0.3")]);
    let mut rest = connect(server.rest_address()).await;
    let start = b"GET /v1/specs HTTP/1.1\r\nhost: a\r\n";
    rest.write_all(start).await.expect("the server reads");
    let (mut reader, mut writer) = rest.split();
    // The connection does not stay open because bytes arrive.
    let slow = async {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let closed = async {
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes).await;
    };
    let ended = timeout(LONG, async {
        tokio::select! { () = slow => {}, () = closed => {} }
    });
    ended.await.expect("the server closes the connection");
    wait_for_metric(&server, "rest", "head_timeout", 1).await;

    let mut grpc = connect(server.grpc_address()).await;
    grpc.write_all(b"PRI * HTTP")
        .await
        .expect("the server reads");
    wait_for_close(&mut grpc).await;
    wait_for_metric(&server, "grpc", "head_timeout", 1).await;
}

#[tokio::test]
async fn idle_connection_is_closed() {
    let (_dir, server) = server(&[("IDLE_TIMEOUT", "0.3")]);
    let mut silent = connect(server.rest_address()).await;
    wait_for_close(&mut silent).await;

    let mut used = connect(server.rest_address()).await;
    let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    used.write_all(request).await.expect("the server reads");
    wait_for_close(&mut used).await;

    let mut grpc = RawHttp2::connect(server.grpc_address(), &[]).await;
    let closed = timeout(LONG, async { while grpc.next().await.is_some() {} });
    closed.await.expect("the server closes the connection");
    wait_for_metric(&server, "rest", "idle_timeout", 2).await;
    wait_for_metric(&server, "grpc", "idle_timeout", 1).await;
}

#[tokio::test]
async fn quiet_stream_is_not_idle() {
    let limits = [
        ("IDLE_TIMEOUT", "0.2"),
        ("HEAD_TIMEOUT", "0.2"),
        ("SEND_TIMEOUT", "0.2"),
    ];
    let (_dir, server) = server(&limits);
    let watch = WatchSpecsRequest { from_position: 0 };
    let mut client = server.grpc().await;
    let mut changes = client.watch_specs(watch).await.unwrap().into_inner();
    // Another connection is closed in this time, so the limits were checked.
    wait_for_close(&mut connect(server.grpc_address()).await).await;
    server.create("limits", "limit: 1\n").await;
    let change = changes.message().await.unwrap().unwrap();
    assert_eq!(change.position, 1);
}

#[tokio::test]
async fn client_that_never_reads_is_closed() {
    let (_dir, server) = server(&[("SEND_TIMEOUT", "0.3"), ("MAX_CONTENT_BYTES", "1048576")]);
    let id = create_large(&server).await;
    let _rest = request_without_reading(&server, &id).await;
    wait_for_metric(&server, "rest", "send_timeout", 1).await;

    let mut grpc = watch_without_reading(&server).await;
    let closed = timeout(LONG, async { while grpc.next().await.is_some() {} });
    closed.await.expect("the server closes the connection");
    wait_for_metric(&server, "grpc", "unread_timeout", 1).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let (_dir, server) = server(&[("MAX_CONNECTIONS", "2")]);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut socket = connect(server.rest_address()).await;
        let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
        socket.write_all(request).await.expect("the server reads");
        // The response shows that the connection was accepted.
        socket.read_u8().await.expect("the server responds");
        open.push(socket);
    }
    let third = server
        .request(Method::GET, "/livez")
        .header(header::CONNECTION, "close");
    let mut third = Box::pin(third.send());
    let waited = timeout(Duration::from_millis(500), &mut third).await;
    assert!(waited.is_err(), "the third connection was served");
    open.pop();
    let served = timeout(LONG, third)
        .await
        .expect("the connection is served");
    assert_eq!(
        served.expect("the server responds").status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn streams_beyond_the_limit_are_rejected() {
    let (_dir, server) = server(&[("MAX_STREAMS", "1")]);
    let watch = WatchSpecsRequest { from_position: 0 };
    let mut client = server.grpc().await;
    let first = client.watch_specs(watch).await.unwrap();
    let second = client.watch_specs(watch).await.unwrap_err();
    assert_eq!(second.code(), Code::ResourceExhausted);
    drop(first);
    let reopened = timeout(LONG, async {
        while client.watch_specs(watch).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    reopened
        .await
        .expect("a closed stream makes room for another one");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_slow_clients() {
    let limits = [
        ("MAX_CONTENT_BYTES", "1048576"),
        ("GRACE", "300"),
        ("SEND_TIMEOUT", "300"),
    ];
    let (_dir, server) = server(&limits);
    let id = create_large(&server).await;
    let mut half_head = connect(server.rest_address()).await;
    half_head
        .write_all(b"GET / HTTP/1.1\r\nho")
        .await
        .expect("the server reads");
    let _silent = connect(server.rest_address()).await;
    let _unread = request_without_reading(&server, &id).await;
    let _half_preface = connect(server.grpc_address()).await;
    let _idle = RawHttp2::connect(server.grpc_address(), &[]).await;
    let _watch = watch_without_reading(&server).await;
    server.terminate();
    let ended = timeout(LONG, server.wait()).await;
    assert!(ended.expect("the server ends").success());
}
