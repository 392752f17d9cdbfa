//! Connections with TLS and with credentials.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "../../../event-store/tests/support/authority.rs"]
mod authority;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use authority::{Authority, Issued};
use event_store::access::Stores;
use event_store::server;
use event_store::serving::Serving;
use factum::store::{EventStore as _, Query, Read, StoreError};
use factum_grpc::{GrpcOptions, GrpcStore};
use factum_memory::MemoryStore;
use factum_server::tls::{Tls, TlsFiles};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Starts a server that requires clients of `clients`, if there is one.
async fn serve(dir: &Path, issued: &Issued, clients: Option<&Authority>) -> SocketAddr {
    let write = |name, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = TlsFiles {
        certificate: write("server.pem", &issued.certificate),
        key: write("server.key", &issued.key),
        client_ca: clients.map(|clients| write("clients.pem", &clients.pem)),
        protocols: vec!["h2"],
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let stores = Stores::unprotected(Arc::new(MemoryStore::new()));
    let mut serving = Serving::new(stores, "memory", stopped);
    serving.tls = Some(Tls::load(files).unwrap());
    tokio::spawn(async move {
        let _stop = stop;
        server::serve(vec![listener], serving).await.unwrap();
    });
    address
}

async fn open(options: GrpcOptions) -> Result<GrpcStore, String> {
    let opened = options.open().await;
    opened.map_err(|error| error.to_string())
}

#[tokio::test]
async fn store_connects_with_certificates_of_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new(), Authority::new());
    let address = serve(dir.path(), &servers.server(), Some(&clients)).await;
    let options = || GrpcOptions::new(format!("https://{address}")).ca_certificate(&*servers.pem);
    let client = clients.client("ada");
    let with_certificate = options().client_certificate(client.certificate, client.key);
    let store = open(with_certificate.clone()).await.unwrap();
    let page = store.read(Read::all(Query::all())).await.unwrap();
    assert_eq!(page.events.len(), 0);
    let renamed = with_certificate.clone().server_name("localhost");
    open(renamed).await.unwrap();
    let other = with_certificate.clone().server_name("example.org");
    assert!(matches!(
        other.open().await,
        Err(StoreError::Unavailable(_))
    ));
    let without = options().open().await;
    assert!(
        matches!(without, Err(StoreError::Unavailable(_))),
        "{without:?}"
    );
    let untrusted = with_certificate.ca_certificate(&*clients.pem);
    assert!(matches!(
        untrusted.open().await,
        Err(StoreError::Unavailable(_))
    ));
}

#[tokio::test]
async fn settings_that_cannot_work_are_rejected() {
    let plain = || GrpcOptions::new("http://events.example:50051");
    for (options, expected) in [
        (
            plain().token("abc"),
            "credentials for \"events.example\" would not be encrypted",
        ),
        (plain().ca_certificate("x"), "TLS needs factums://HOST:PORT"),
        (
            GrpcOptions::new("https://127.0.0.1:1").token("a\nb"),
            "invalid token; expected visible ASCII",
        ),
        (
            GrpcOptions::new("https://127.0.0.1:1").client_certificate("x", "y"),
            "invalid TLS settings; expected certificates and keys in PEM format: ",
        ),
    ] {
        let error = open(options).await.unwrap_err();
        assert!(error.contains(expected), "expected {expected:?}: {error}");
    }
    // A server on the same machine needs no encryption.
    let local = GrpcOptions::new("http://127.0.0.1:1").basic("ada", "secret");
    assert!(matches!(
        local.open().await,
        Err(StoreError::Unavailable(_))
    ));
}

#[test]
fn secrets_are_not_printed() {
    let options = GrpcOptions::new("https://events.example").client_certificate("crt", "hidden");
    let text = format!(
        "{:?} {:?}",
        options.clone().basic("ada", "secret"),
        options.token("secret")
    );
    for secret in ["secret", "hidden", "YWRhOnNlY3JldA"] {
        assert!(!text.contains(secret), "{text}");
    }
}
