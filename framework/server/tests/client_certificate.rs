//! The facts of a client's certificate, which each request of its connection has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "../../../event-store/tests/support/authority.rs"]
mod authority;

use std::sync::Arc;

use authority::{Authority, Issued};
use factum_server::net::{ConnectionLimits, Incoming};
use factum_server::tls::{Tls, TlsFiles};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

fn connector(authority: &Authority, client: &Issued) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let certificate = CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key);
    Arc::new(config.unwrap()).into()
}

#[tokio::test]
async fn connection_has_the_subject_of_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let issued = authority.server();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = TlsFiles {
        certificate: path("server.pem", &issued.certificate),
        key: path("server.key", &issued.key),
        client_ca: Some(path("clients.pem", &authority.pem)),
        protocols: vec!["h2"],
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let incoming = Incoming::new("test", listener, ConnectionLimits::default(), stopped);
    let mut incoming = incoming.tls(Some(Tls::load(files).unwrap()));
    let connector = connector(&authority, &authority.client("ada"));
    let client = tokio::spawn(async move {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        connector.connect(name, socket).await.unwrap()
    });
    let connection = incoming.accept().await;
    let client = client.await.unwrap();
    let info = connection.info();
    assert_eq!(info.peer(), client.get_ref().0.local_addr().unwrap());
    let certificate = info.certificate().unwrap();
    assert_eq!(certificate.subject(), "CN=ada");
    assert_eq!(certificate.common_name(), Some("ada"));
    assert_eq!(certificate.dns_names(), [""; 0]);
}
