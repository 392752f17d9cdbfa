//! Clients that hold connections without using them, or do not read what they asked for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "../../spec-service/tests/support/raw_http2.rs"]
mod raw_http2;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::time::Duration;

use factum_store_protocol::v1;
use factum_store_protocol::v1::subscribe_response::Message as Item;
use prost::Message as _;
use raw_http2::{PING, RawHttp2};
use server::{LIMIT, Server, any, append, get};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

/// The identifier of the setting `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113, 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

const READ_ALL: &str = "/factum.store.v1.EventStoreService/ReadAll";

struct Measured {
    server: Server,
    metrics: String,
    _dir: tempfile::TempDir,
}

impl Measured {
    fn start(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = [settings, &[("METRICS_ADDR", "127.0.0.1:0")]].concat();
        let mut server = Server::start_with(dir.path(), &settings);
        Self {
            metrics: server.next_url("metrics"),
            server,
            _dir: dir,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.address()).await.unwrap()
    }

    /// Waits until the metrics have `line`.
    async fn wait_for(&self, line: &str) {
        let scraped = timeout(LIMIT, async {
            loop {
                let text = get(&self.metrics, "/metrics").await;
                if text.lines().any(|other| other == line) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let scraped = scraped.await;
        scraped.unwrap_or_else(|_| panic!("the metrics do not have the line {line}"));
    }

    async fn wait_for_closed(&self, limit: &str, count: u32) {
        let name = "connections_closed_total";
        let line = format!("{name}{{api=\"grpc\",limit=\"{limit}\"}} {count}");
        self.wait_for(&line).await;
    }

    /// Stores `count` events of 100,000 bytes.
    async fn store_large(&self, count: usize) {
        let mut client = self.server.client().await;
        for _ in 0..count {
            let large = append("hive", any(), vec![7; 100_000]);
            client.append(large).await.unwrap();
        }
    }

    /// Reads all events, with a window of `window` bytes for each call, and receives nothing.
    async fn read_without_receiving(&self, window: u32) -> RawHttp2 {
        let settings = [(INITIAL_WINDOW_SIZE, window)];
        let mut client = RawHttp2::connect(self.server.address(), &settings).await;
        let message = v1::ReadAllRequest::default().encode_to_vec();
        client.ping_and_call(READ_ALL, &message).await;
        client
    }
}

/// Waits until the server closes the connection. A reset also closes it.
async fn wait_for_close(socket: &mut TcpStream) {
    let mut bytes = Vec::new();
    let closed = timeout(LIMIT, socket.read_to_end(&mut bytes)).await;
    let _ = closed.expect("the server closes the connection");
}

async fn wait_for_end(client: &mut RawHttp2) {
    let closed = timeout(LIMIT, async { while client.next().await.is_some() {} });
    closed.await.expect("the server closes the connection");
}

#[tokio::test]
async fn half_sent_preface_is_closed() {
    let server = Measured::start(&[("HEAD_TIMEOUT", "0.3")]);
    let mut socket = server.connect().await;
    socket.write_all(b"PRI * HTTP").await.unwrap();
    wait_for_close(&mut socket).await;
    server.wait_for_closed("head_timeout", 1).await;
}

#[tokio::test]
async fn connection_without_calls_is_closed() {
    let server = Measured::start(&[("IDLE_TIMEOUT", "0.3")]);
    wait_for_close(&mut server.connect().await).await;
    let mut idle = RawHttp2::connect(server.server.address(), &[]).await;
    wait_for_end(&mut idle).await;
    server.wait_for_closed("idle_timeout", 2).await;
}

#[tokio::test]
async fn quiet_subscription_is_not_idle() {
    let short = [
        ("IDLE_TIMEOUT", "0.2"),
        ("HEAD_TIMEOUT", "0.2"),
        ("SEND_TIMEOUT", "0.2"),
        ("UNREAD_TIMEOUT", "0.2"),
    ];
    let server = Measured::start(&short);
    let mut client = server.server.client().await;
    let subscribe = v1::SubscribeRequest::default();
    let mut messages = client.subscribe(subscribe).await.unwrap().into_inner();
    let first = messages.message().await.unwrap().unwrap().message;
    assert_eq!(first, Some(Item::CaughtUp(v1::CaughtUp { position: 0 })));
    // Another connection is closed in this time, so the limits were checked.
    wait_for_close(&mut server.connect().await).await;
    client.append(append("hive", any(), "{}")).await.unwrap();
    let second = messages.message().await.unwrap().unwrap().message;
    assert!(matches!(second, Some(Item::Events(_))), "{second:?}");
    server
        .wait_for("event_store_subscriptions_open{protocol=\"native\"} 1")
        .await;
    server
        .wait_for("event_store_subscription_lag_events{protocol=\"native\"} 0")
        .await;
    server.wait_for("event_store_head_position 1").await;
    drop(messages);
    server
        .wait_for("event_store_subscriptions_open{protocol=\"native\"} 0")
        .await;
}

#[tokio::test]
async fn client_whose_socket_accepts_nothing_is_closed() {
    let server = Measured::start(&[("SEND_TIMEOUT", "0.3")]);
    server.store_large(200).await;
    // The window of the connection is opened, too, so that only the socket holds the data back.
    let mut client = server.read_without_receiving(u32::MAX >> 1).await;
    client
        .send(&raw_http2::frame(0x8, 0, 0, &0x7000_0000_u32.to_be_bytes()))
        .await;
    server.wait_for_closed("send_timeout", 1).await;
}

#[tokio::test]
async fn unread_stream_leaves_other_calls_alone() {
    let server = Measured::start(&[("SEND_TIMEOUT", "0.2"), ("UNREAD_TIMEOUT", "300")]);
    server.store_large(200).await;
    let mut client = server.read_without_receiving(0).await;
    // Another connection shows that the limits were checked with the time of the send timeout.
    let mut blocked = server.read_without_receiving(u32::MAX >> 1).await;
    blocked
        .send(&raw_http2::frame(0x8, 0, 0, &0x7000_0000_u32.to_be_bytes()))
        .await;
    server.wait_for_closed("send_timeout", 1).await;
    let pinged = timeout(LIMIT, async {
        client.send(&raw_http2::frame(PING, 0, 0, &[9; 8])).await;
        while client.next().await.unwrap().payload != [9; 8] {}
    });
    pinged.await.expect("the connection stays open");
}

#[tokio::test]
async fn stream_that_is_never_read_is_closed() {
    let server = Measured::start(&[("UNREAD_TIMEOUT", "0.3")]);
    server.store_large(2).await;
    let mut client = server.read_without_receiving(0).await;
    wait_for_end(&mut client).await;
    server.wait_for_closed("unread_timeout", 1).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let server = Measured::start(&[("MAX_CONNECTIONS", "2")]);
    let mut first = server.server.client().await;
    let mut second = server.server.client().await;
    for client in [&mut first, &mut second] {
        client.get_head(v1::GetHeadRequest {}).await.unwrap();
    }
    let mut third = server.server.client().await;
    let mut waiting = Box::pin(third.get_head(v1::GetHeadRequest {}));
    let waited = timeout(Duration::from_millis(500), &mut waiting).await;
    assert!(waited.is_err(), "the third connection was served");
    drop(first);
    let served = timeout(LIMIT, waiting).await;
    served.expect("the connection is served").unwrap();
}

#[tokio::test]
async fn calls_beyond_the_limit_of_a_connection_wait() {
    let server = Measured::start(&[("MAX_CALLS", "1")]);
    let mut client = server.server.client().await;
    let subscribe = v1::SubscribeRequest::default();
    let messages = client.subscribe(subscribe).await.unwrap();
    let mut other = client.clone();
    let mut waiting = Box::pin(other.get_head(v1::GetHeadRequest {}));
    let waited = timeout(Duration::from_millis(500), &mut waiting).await;
    assert!(waited.is_err(), "the second call was answered");
    drop(messages);
    let served = timeout(LIMIT, waiting).await;
    served.expect("the call is answered").unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_slow_clients() {
    let long = [
        ("GRACE", "300"),
        ("SEND_TIMEOUT", "300"),
        ("UNREAD_TIMEOUT", "300"),
    ];
    let server = Measured::start(&long);
    server.store_large(200).await;
    let mut half_preface = server.connect().await;
    half_preface.write_all(b"PRI").await.unwrap();
    let _silent = server.connect().await;
    let _idle = RawHttp2::connect(server.server.address(), &[]).await;
    let _unread = server.read_without_receiving(0).await;
    let _blocked = server.read_without_receiving(u32::MAX >> 1).await;
    let mut client = server.server.client().await;
    let subscribe = v1::SubscribeRequest::default();
    let mut messages = client.subscribe(subscribe).await.unwrap().into_inner();
    server.server.signal("-TERM");
    let ended = loop {
        match messages.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    let ended = timeout(LIMIT, server.server.wait()).await;
    assert!(ended.expect("the server ends").success());
}
