//! Addresses, TLS, and servers that cannot be reached.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use factum_store_client::{
    CallAttempts, ClientOptions, ErrorKind, EventData, ExpectedVersion, InvalidOptions, Position,
    ServerTls,
};
use factum_store_protocol::v1;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::{Identity, Server, ServerTlsConfig};

fn options(address: impl std::fmt::Display) -> ClientOptions {
    let attempts = CallAttempts {
        max: Some(3),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
    };
    ClientOptions::new(address.to_string()).attempts(attempts)
}

#[tokio::test]
async fn address_with_an_error_is_rejected() {
    for address in [
        "127.0.0.1:50051",
        "postgres://127.0.0.1",
        "factum://127.0.0.1/path",
        "factum://127.0.0.1?tls=true",
        "factum://",
        "",
    ] {
        let error = options(address).open().unwrap_err().to_string();
        let expected = format!(
            "invalid address: {address:?}; expected factum://HOST:PORT, or factums://HOST:PORT with TLS"
        );
        assert_eq!(error, expected);
    }
    let error = options("factum://ops:secret@127.0.0.1").open().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = options("factum://127.0.0.1").tls(ServerTls::new()).open();
    assert!(matches!(error, Err(InvalidOptions::Address { .. })));
    let error = options("factum://127.0.0.1").token("two\nlines").open();
    assert!(matches!(error, Err(InvalidOptions::Token)));
}

#[tokio::test]
async fn address_without_a_port_is_accepted() {
    for address in [
        "factum://localhost",
        "factums://[::1]",
        "https://events.example.com/",
    ] {
        options(address).open().unwrap();
    }
}

#[tokio::test]
async fn append_that_was_not_sent_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = options(format!("factum://{address}")).open().unwrap();
    let event = EventData::json("account.opened", &()).unwrap();
    let append = client.append("account-1", ExpectedVersion::Any, [event]);
    let error = append.without_key().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    assert!(std::error::Error::source(&error).is_some());
}

/// Answers every call with a head, if the credentials are those of the user `ops`.
async fn answer(request: Request) -> Response {
    let authorization = request.headers().get("authorization");
    let is_known = authorization.is_some_and(|value| value == "Basic b3BzOnNlY3JldA==");
    let message = v1::GetHeadResponse { position: 3 }.encode_to_vec();
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    let status = if is_known { "0" } else { "16" };
    Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", status)
        .body(Body::from(body))
        .unwrap()
}

async fn serve(identity: Identity) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Routes::from(axum::Router::new().fallback(answer));
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .unwrap()
        .add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

#[tokio::test]
async fn connection_with_tls_checks_the_certificate() {
    let names = ["events.example.com".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let address = serve(Identity::from_pem(&certificate, key)).await;
    let tls = ServerTls::new().ca(certificate.clone());
    let options = options(format!("factums://{address}")).basic("ops", "secret");

    let trusting = options
        .clone()
        .tls(tls.clone().server_name("events.example.com"));
    assert_eq!(
        trusting.open().unwrap().head().await.unwrap(),
        Position::new(3)
    );

    let other_name = options.clone().tls(tls).open().unwrap();
    let error = other_name.head().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);

    let other_authority = options.tls(ServerTls::new().server_name("events.example.com"));
    let error = other_authority.open().unwrap().head().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
}
