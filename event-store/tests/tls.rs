//! TLS of the server: certificates of both sides, files that are not valid, and the reload of files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/authority.rs"]
mod authority;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::Path;

use authority::{Authority, Issued};
use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use server::{LIMIT, Server, command, get};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const FILES: [(&str, &str); 2] = [("TLS_CERT", "server.pem"), ("TLS_KEY", "server.key")];
const MUTUAL: [(&str, &str); 3] = [FILES[0], FILES[1], ("TLS_CLIENT_CA", "clients.pem")];

fn write(dir: &Path, issued: &Issued) {
    fs::write(dir.join("server.pem"), &issued.certificate).unwrap();
    fs::write(dir.join("server.key"), &issued.key).unwrap();
}

/// Connects, and makes a call. The error is that of the connection with all its sources.
async fn call(url: &str, tls: ClientTlsConfig) -> Result<u64, String> {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    let endpoint = endpoint.tls_config(tls).unwrap();
    let channel = endpoint.connect().await.map_err(|error| chain(&error))?;
    head(channel).await
}

async fn head(channel: Channel) -> Result<u64, String> {
    let mut client = EventStoreServiceClient::new(channel);
    let head = client.get_head(v1::GetHeadRequest {}).await;
    let head = head.map_err(|status| format!("{status:?} {}", chain(&status)))?;
    Ok(head.into_inner().position)
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn trusting(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem))
}

fn with_identity(authority: &Authority, issued: &Issued) -> ClientTlsConfig {
    trusting(authority).identity(Identity::from_pem(&issued.certificate, &issued.key))
}

#[tokio::test]
async fn client_verifies_the_certificate_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    write(dir.path(), &authority.server());
    let server = Server::start_with(dir.path(), &FILES);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    assert_eq!(call(&server.url, trusting(&authority)).await, Ok(0));
    let unknown = call(&server.url, trusting(&other)).await.unwrap_err();
    assert!(unknown.contains("certificate"), "{unknown}");
    let plain = server.url.replace("https", "http");
    let plain = Endpoint::from_shared(plain).unwrap().connect_lazy();
    head(plain).await.unwrap_err();
    // The failed handshakes do not concern other clients.
    assert_eq!(call(&server.url, trusting(&authority)).await, Ok(0));
}

#[tokio::test]
async fn expired_certificates_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    write(dir.path(), &authority.expired_server());
    let server = Server::start_with(dir.path(), &FILES);
    let expired = call(&server.url, trusting(&authority)).await.unwrap_err();
    assert!(expired.contains("xpired"), "{expired}");
    drop(server);

    write(dir.path(), &authority.server());
    fs::write(dir.path().join("clients.pem"), &authority.pem).unwrap();
    let server = Server::start_with(dir.path(), &MUTUAL);
    let expired = with_identity(&authority, &authority.expired_client("ada"));
    call(&server.url, expired).await.unwrap_err();
    let valid = with_identity(&authority, &authority.client("ada"));
    assert_eq!(call(&server.url, valid).await, Ok(0));
}

#[tokio::test]
async fn mutual_tls_requires_a_known_client() {
    let dir = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new(), Authority::new());
    write(dir.path(), &servers.server());
    fs::write(dir.path().join("clients.pem"), &clients.pem).unwrap();
    let server = Server::start_with(dir.path(), &MUTUAL);
    let known = with_identity(&servers, &clients.client("ada"));
    assert_eq!(call(&server.url, known).await, Ok(0));
    call(&server.url, trusting(&servers)).await.unwrap_err();
    let unknown = with_identity(&servers, &servers.client("ada"));
    call(&server.url, unknown).await.unwrap_err();
}

#[tokio::test]
async fn silent_client_is_closed_during_the_handshake() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    write(dir.path(), &authority.server());
    let limits = [
        ("HEAD_TIMEOUT", "0.3"),
        ("METRICS_ADDR", "127.0.0.1:0"),
        ("MAX_CONNECTIONS", "1"),
    ];
    let mut server = Server::start_with(dir.path(), &[&FILES[..], &limits].concat());
    let metrics = server.next_url("metrics");
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let closed = timeout(LIMIT, silent.read_u8()).await;
    closed
        .expect("the server closes the connection")
        .unwrap_err();
    // The only permitted connection is free again.
    assert_eq!(call(&server.url, trusting(&authority)).await, Ok(0));
    let text = get(&metrics, "/metrics").await;
    let line = "tls_handshakes_failed_total{api=\"grpc\",reason=\"timeout\"} 1\n";
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains("\ntls_certificate_expiry_timestamp_seconds "),
        "{text}"
    );
}

#[tokio::test]
async fn hangup_loads_the_files_again() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    write(dir.path(), &old.server());
    let server = Server::start_with(dir.path(), &FILES);
    let connected = Endpoint::from_shared(server.url.clone()).unwrap();
    let connected = connected.tls_config(trusting(&old)).unwrap();
    let connected = connected.connect().await.unwrap();

    write(dir.path(), &new.server());
    server.signal("-HUP");
    let reloaded = timeout(LIMIT, async {
        while call(&server.url, trusting(&new)).await.is_err() {}
    });
    reloaded.await.expect("the files are loaded again");
    call(&server.url, trusting(&old)).await.unwrap_err();
    // Connections stay open.
    assert_eq!(head(connected).await, Ok(0));
}

#[tokio::test]
async fn hangup_with_a_bad_file_keeps_the_previous_one() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    write(dir.path(), &authority.server());
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let server = Server::start_logging(dir.path(), &FILES, log);
    fs::write(dir.path().join("server.pem"), "no certificate").unwrap();
    server.signal("-HUP");
    let logged = timeout(LIMIT, async {
        loop {
            let log = fs::read_to_string(dir.path().join("log")).unwrap();
            if log.contains("the previous ones stay in use") {
                return log;
            }
            tokio::task::yield_now().await;
        }
    });
    let log = logged.await.expect("the server logs the error");
    assert!(log.contains("no certificate in"), "{log}");
    assert!(log.contains("ERROR"), "{log}");
    assert_eq!(call(&server.url, trusting(&authority)).await, Ok(0));
    // Without TLS, the signal does not end the server.
    let dir = tempfile::tempdir().unwrap();
    let plain = Server::start(dir.path());
    plain.signal("-HUP");
    assert_eq!(head(plain.channel().await).await, Ok(0));
}

#[test]
fn files_that_cannot_be_used_are_named_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (issued, other) = (authority.server(), authority.server());
    let contents = [
        ("good.pem", &*issued.certificate),
        ("good.key", &*issued.key),
        ("other.key", &*other.key),
        ("text.pem", "no certificate"),
        ("torn.pem", &issued.certificate[..200]),
        ("empty.key", ""),
    ];
    for (name, text) in contents {
        fs::write(dir.path().join(name), text).unwrap();
    }
    for (certificate, key, expected) in [
        (
            "missing.pem",
            "good.key",
            "cannot read the certificate from \"missing.pem\"; check that the file exists",
        ),
        (
            "text.pem",
            "good.key",
            "no certificate in \"text.pem\"; expected PEM with a section CERTIFICATE",
        ),
        (
            "torn.pem",
            "good.key",
            "the certificate in \"torn.pem\" is not valid PEM",
        ),
        (
            "good.pem",
            "empty.key",
            "no key in \"empty.key\"; expected PEM with a section PRIVATE KEY",
        ),
        (
            "good.pem",
            "other.key",
            "cannot use the certificate \"good.pem\" with the key \"other.key\"",
        ),
    ] {
        let settings = [("TLS_CERT", certificate), ("TLS_KEY", key)];
        let ended = command(dir.path(), &settings).output().unwrap();
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{text}");
        assert!(text.contains(expected), "expected {expected:?}: {text}");
        assert_eq!(ended.stdout, b"", "the server printed its address");
    }
    let settings = [
        ("TLS_CERT", "good.pem"),
        ("TLS_KEY", "good.key"),
        ("TLS_CLIENT_CA", "good.key"),
    ];
    let ended = command(dir.path(), &settings).output().unwrap();
    let text = String::from_utf8(ended.stderr).unwrap();
    assert!(
        text.contains("no certificate authority of clients in \"good.key\""),
        "{text}"
    );
    let without_key = command(dir.path(), &[("TLS_CERT", "good.pem")])
        .output()
        .unwrap();
    let text = String::from_utf8(without_key.stderr).unwrap();
    assert!(text.contains("--tls-key"), "{text}");
}
